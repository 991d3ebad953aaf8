package main

import (
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

// A target is a ratio that package xts should reach.
type target struct {
	ours, other string
	sectorSize  int // 0 for both
	want        float64
}

// targets are for the implementation in use ("selected"), and for others by name. The limit uses the
// widest registers of the CPU.
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

// targets128 are the targets for AES-128.
var targets128 = []target{
	{"selected", "limit", 512, 0.82},
	{"selected", "limit", 4096, 0.90},
}

// aesniTargets compare with OpenSSL without VAES.
var aesniTargets = []target{
	{"luksimg/aesni-avx", "openssl", 512, 1.5},
	{"luksimg/aesni-avx", "openssl", 4096, 0.95},
}

// reach is the share of the limit's ratio that is the target if the limit itself misses the target.
const reach = 0.85

// targets prints the measured ratios of AES-256 beside the targets.
func (r *report) targets() {
	fmt.Println("\ntargets; if the limit itself misses one, its ratio is shown, and the target is 0.85 of it")
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

// limitName returns the name of the limit, or "" without one.
func limitName() string {
	if loops := aeslimit.Loops(); len(loops) > 0 {
		return loops[0].Name
	}
	return ""
}

// verdict compares a ratio with a target. limit names the upper bound, if it was measured.
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
