//go:build !amd64

package inflate

// useAssembly is false: this architecture has no assembly.
var useAssembly = false

func (s *stream) fast() { s.fastGeneric() }

// fast decodes one stream only: two in turns need more registers than the compiler has.
func (p *pair) fast() { p[0].fastGeneric() }
