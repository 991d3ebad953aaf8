//go:build !amd64

package lzma

// useAssembly is false: this architecture has no assembly.
var useAssembly = false

func (s *lane) fast() { s.generic(s.stop) }

// fast decodes one lane only: two in turns need more registers than the compiler has.
func (p *Pair) fast() { p[0].generic(p[0].stop) }
