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

// reach is how much of what the limit's ratio is has to be reached, where that is less than a target.
const reach = 0.85

// targets prints how the measured ratios of AES-256 compare with the targets.
func (r *report) targets() {
	fmt.Println("\ntargets; where the limit itself misses one, its ratio is shown, and 0.85 of that is wanted")
	r.verdicts(targets, 64)
	r.verdicts(targets128, 32)
	r.verdict("op=enc/key=512/sector=512", "two cores", "one", "", 1.95)
	for _, size := range []int{512, 4096} {
		r.verdict(fmt.Sprintf("op=enc/key=512/sector=%d", size), "from memory", "copy", aeslimit.Copying, 0.8)
	}
}

func (r *report) verdicts(targets []target, keySize int) {
	for _, t := range targets {
		if t.ours == "selected" {
			t.ours = "luksimg/" + xts.Implementations()[0]
		}
		if t.other == "limit" {
			t.other = limitName()
		}
		for _, s := range settings() {
			if s.keySize != keySize || t.sectorSize != 0 && t.sectorSize != s.sectorSize {
				continue
			}
			r.verdict(s.String(), t.ours, t.other, limitName(), t.want)
		}
	}
}

// limitName is that of the limit, "" without one.
func limitName() string {
	if loops := aeslimit.Loops(); len(loops) > 0 {
		return loops[0].Name
	}
	return ""
}

// verdict compares a ratio with a target. limit is what can not be surpassed, if that was measured.
func (r *report) verdict(setting, ours, other, limit string, want float64) {
	ratio, ok := r.ratios[fmt.Sprintf("%s %s:%s", setting, ours, other)]
	if !ok {
		return
	}
	word := ""
	most, known := r.ratios[fmt.Sprintf("%s %s:%s", setting, limit, other)]
	if known && most < want {
		word = fmt.Sprintf("%s reaches %.2f: ", limit, most)
		want = reach * most
	}
	if ratio < want {
		word += "MISSED"
	} else {
		word += "ok"
	}
	fmt.Println(strings.TrimRight(fmt.Sprintf("  %-28s %-22s / %-15s %6.2f, want %5.2f  %s",
		setting, ours, other, ratio, want, word), " "))
}
