//go:build !amd64

package inflate

// useAssembly: there is none.
var useAssembly = false

func (s *stream) fast() { s.fastGeneric() }

// fast goes on with one stream: in turns they would need more registers than the compiler has.
func (p *pair) fast() { p[0].fastGeneric() }
