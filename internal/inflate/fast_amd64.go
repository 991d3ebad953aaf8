package inflate

//go:generate go -C _asm run .

// useAssembly is true if the CPU has the instructions that the assembly needs. Tests change it.
var useAssembly = hasBMI()

// fast runs fastGeneric, or the assembly, which is faster where matches are frequent.
func (s *stream) fast() {
	if useAssembly && !s.literal {
		fastBMI2(s)
		return
	}
	s.fastGeneric()
}

// fast decodes both streams, or one of them, as far as fast of a stream would.
func (p *pair) fast() {
	switch {
	case !useAssembly:
		p[0].fastGeneric()
	case p[0].literal || p[1].literal:
		pairLiteralsBMI2(p)
	default:
		pairBMI2(p)
	}
}

// hasBMI reports whether the CPU has BMI and BMI2.
func hasBMI() bool

//go:noescape
func fastBMI2(s *stream)

//go:noescape
func pairBMI2(p *pair)

//go:noescape
func pairLiteralsBMI2(p *pair)
