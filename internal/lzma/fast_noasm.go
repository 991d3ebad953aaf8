//go:build !amd64

package lzma

// useAssembly: there is none.
var useAssembly = false

func (s *lane) fast() { s.generic(s.stop) }

// fast goes on with one lane: in turns they would need more registers than the compiler has.
func (p *Pair) fast() { p[0].generic(p[0].stop) }
