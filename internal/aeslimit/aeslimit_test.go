package aeslimit

import "testing"

// TestRun counts rounds.
func TestRun(t *testing.T) {
	for _, test := range []struct{ size, keyBits, want int }{
		{768, 128, 5}, {768, 256, 7}, {7680, 256, 70}, {64 << 10, 128, 427},
	} {
		got := 0
		Loop{run: func(n int) { got = n }, bytes: 768}.Run(test.size, test.keyBits)
		if got != test.want {
			t.Errorf("%d bytes, %d bits: %d turns, want %d", test.size, test.keyBits, got, test.want)
		}
	}
}

// TestLoops runs what this CPU can run.
func TestLoops(t *testing.T) {
	for _, l := range Loops() {
		l.Run(64<<10, 256)
	}
}
