package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/luksimg/luksimg/benchmarks/contender"
	"github.com/luksimg/luksimg/benchmarks/measure"
)

// noVAES hides VAES and VPCLMULQDQ, bits 9 and 10 of ECX of CPUID leaf 7, from libcrypto. libcrypto
// reads it when it is loaded, so it needs another process.
const noVAES = "OPENSSL_ia32cap=:~0x60000000000"

// withoutVAES runs this program again, to compare the AES-NI path with that of OpenSSL.
func withoutVAES(rounds int) error {
	if !slices.ContainsFunc(contender.All(), func(c contender.Contender) bool { return c.Name == "openssl" }) {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("\nOpenSSL with its VAES off (%s)\n", noVAES)
	c := exec.Command(self, "-aesni", fmt.Sprintf("-rounds=%d", rounds))
	c.Env = append(os.Environ(), noVAES)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}

func (r *report) aesni(rounds int) {
	for _, s := range settings() {
		list, err := jobs(s, hotSize, "luksimg/aesni-avx", "openssl")
		if err != nil {
			continue
		}
		results := measure.Rounds(list, rounds)
		ours, other := find(results, "luksimg/aesni-avx"), find(results, "openssl")
		if ours.Run == nil || other.Run == nil {
			return
		}
		fmt.Printf("  %s: aesni-avx %.2f GB/s, openssl %.2f GB/s\n", s, ours.Median()/1e9, other.Median()/1e9)
		r.ratios[fmt.Sprintf("%s %s:%s", s, ours.Name, other.Name)] = ours.Ratio(other)
	}
	r.verdicts(aesniTargets, 64)
}
