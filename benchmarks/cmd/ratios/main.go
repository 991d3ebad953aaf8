// Command ratios runs package xts and its peers in turns in one process, and prints the rates and their
// ratios. With -raw it also writes the rates as Go benchmark lines.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	raw := flag.String("raw", "", "file to write Go benchmark lines to")
	rounds := flag.Int("rounds", 201, "number of rounds in each setting")
	aesni := flag.Bool("aesni", false, "only compare the AES-NI path with OpenSSL, which must run without VAES")
	memory := flag.Int("memory", 512, "size in MiB of source and destination for the run from memory; 0 skips it")
	flag.Parse()
	r := &report{ratios: map[string]float64{}}
	if *aesni {
		r.aesni(*rounds)
		return
	}
	r.environment()
	for _, s := range settings() {
		if err := r.hot(s, *rounds); err != nil {
			fmt.Fprintln(os.Stderr, "ratios:", err)
			os.Exit(1)
		}
	}
	r.cores(*rounds)
	if *memory > 0 {
		r.memory(*memory << 20)
	}
	r.targets()
	if err := withoutVAES(*rounds); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
	if *raw != "" {
		if err := os.WriteFile(*raw, []byte(r.raw.String()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "ratios:", err)
			os.Exit(1)
		}
	}
}
