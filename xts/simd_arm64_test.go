//go:build !purego

package xts

import "testing"

// TestFeatures switches off each CPU feature and checks whether the path is still used.
func TestFeatures(t *testing.T) {
	for f, want := range map[features]int{
		{aes: true, pmull: true}: 1,
		{aes: true}:              0,
		{pmull: true}:            0,
		{}:                       0,
	} {
		if got := len(simdImplementations(f)); got != want {
			t.Errorf("%+v: %d paths, want %d", f, got, want)
		}
	}
}
