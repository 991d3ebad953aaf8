package inflate

//go:generate go -C _asm run .

// useAssembly is whether the CPU has what the assembly takes. Tests set it.
var useAssembly = hasBMI()

// fast is fastGeneric, or the assembly, which is ahead where matches are many.
func (s *stream) fast() {
	if useAssembly && !s.literal {
		fastBMI2(s)
		return
	}
	s.fastGeneric()
}

// fast goes on with both streams, or with one, as far as fast of a stream would.
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
