package main

import (
	"fmt"
	"strings"
)

// A target is a ratio that package xts is built to reach.
type target struct {
	ours, other string
	sectorSize  int // 0 for both
	want        float64
}

var targets = []target{
	{"luksimg/vaes-avx512", "limit-vaes512", 0, 0.85},
	{"luksimg/vaes-avx512", "openssl", 512, 4},
	{"luksimg/vaes-avx512", "openssl", 4096, 2.2},
	{"luksimg/vaes-avx512", "libgcrypt", 512, 2},
	{"luksimg/vaes-avx512", "libgcrypt", 4096, 1.2},
	{"luksimg/vaes-avx512", "x/crypto", 0, 28},
	{"luksimg/vaes-avx2", "limit-vaes512", 0, 0.75},
	{"luksimg/generic", "x/crypto", 0, 1.6},
}

// aesniTargets compare with OpenSSL without VAES.
var aesniTargets = []target{
	{"luksimg/aesni-avx", "openssl", 512, 1.5},
	{"luksimg/aesni-avx", "openssl", 4096, 0.95},
}

// targets prints how the measured ratios of AES-256 compare with the targets.
func (r *report) targets() {
	fmt.Println("\ntargets (AES-256)")
	r.verdicts(targets)
	r.verdict("op=enc/key=512/sector=512", "two cores", "one", "two cores:one", 1.9)
	for _, size := range []int{512, 4096} {
		s := fmt.Sprintf("op=enc/key=512/sector=%d", size)
		r.verdict(s, "from memory", "copy", s+" memory:copy", 1)
	}
}

func (r *report) verdicts(targets []target) {
	for _, t := range targets {
		for _, s := range settings() {
			if s.keySize != 64 || t.sectorSize != 0 && t.sectorSize != s.sectorSize {
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
