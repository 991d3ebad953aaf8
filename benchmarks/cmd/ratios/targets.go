package main

import (
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

// A target is a ratio that package xts is built to reach.
type target struct {
	ours, other string
	sectorSize  int // 0 for both
	want        float64
}

// targets are for the implementation in use, where they say "selected", and for the
// others by name. The limit is that of the widest registers that the CPU has.
var targets = []target{
	{"selected", "limit", 512, 0.88},
	{"selected", "limit", 4096, 0.94},
	{"selected", "openssl", 512, 6},
	{"selected", "openssl", 4096, 2.5},
	{"selected", "libgcrypt", 512, 2.8},
	{"selected", "libgcrypt", 4096, 1.4},
	{"selected", "x/crypto", 0, 28},
	{"luksimg/generic", "x/crypto", 0, 1.6},
}

// targets128 are the same for AES-128.
var targets128 = []target{
	{"selected", "limit", 512, 0.82},
	{"selected", "limit", 4096, 0.90},
}

// aesniTargets compare with OpenSSL without VAES.
var aesniTargets = []target{
	{"luksimg/aesni-avx", "openssl", 512, 1.5},
	{"luksimg/aesni-avx", "openssl", 4096, 0.95},
}

// targets prints how the measured ratios of AES-256 compare with the targets.
func (r *report) targets() {
	fmt.Println("\ntargets")
	r.verdicts(targets, 64)
	r.verdicts(targets128, 32)
	r.verdict("op=enc/key=512/sector=512", "two cores", "one", "two cores:one", 1.95)
	for _, size := range []int{512, 4096} {
		s := fmt.Sprintf("op=enc/key=512/sector=%d", size)
		r.verdict(s, "from memory", "copy", s+" memory:copy", 0.8)
	}
}

func (r *report) verdicts(targets []target, keySize int) {
	for _, t := range targets {
		if t.ours == "selected" {
			t.ours = "luksimg/" + xts.Implementations()[0]
		}
		if loops := aeslimit.Loops(); t.other == "limit" && len(loops) > 0 {
			t.other = loops[0].Name
		}
		for _, s := range settings() {
			if s.keySize != keySize || t.sectorSize != 0 && t.sectorSize != s.sectorSize {
				continue
			}
			r.verdict(s.String(), t.ours, t.other, fmt.Sprintf("%s %s:%s", s, t.ours, t.other), t.want)
		}
	}
}

func (r *report) verdict(setting, ours, other, key string, want float64) {
	ratio, ok := r.ratios[key]
	if !ok {
		return
	}
	word := "ok"
	if ratio < want {
		word = "MISSED"
	}
	fmt.Println(strings.TrimRight(fmt.Sprintf("  %-28s %-22s / %-15s %6.2f, want %5.2f  %s",
		setting, ours, other, ratio, want, word), " "))
}
