// Package aeslimit runs AES instructions on registers alone, without memory: the most
// that a CPU can do, to compare implementations with.
package aeslimit

// A Loop is one size of register.
type Loop struct {
	Name  string
	run   func(n int) // 2n rounds on all registers of the loop
	bytes int         // in these registers
}

// Loops lists the loops that this CPU can run, the fastest first. It is empty where
// there is no assembly for one.
func Loops() []Loop { return loops() }

// Run does as many AES rounds as size bytes take under a key of keyBits, 128 or 256:
// rather a few more than less.
func (l Loop) Run(size, keyBits int) {
	rounds := keyBits/32 + 6
	l.run((size*rounds + 2*l.bytes - 1) / (2 * l.bytes))
}
