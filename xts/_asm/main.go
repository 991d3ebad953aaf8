// Command _asm writes the assembly of package xts. Without arguments it writes to the folder above. Its
// test compares the committed files with its output.
//
// It generates text and does not use avo, for three reasons: loops are made by merging two streams of
// instructions (see merge), PREFETCHW must be written as bytes, and the same code generates arm64.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "..", "folder to write to")
	flag.Parse()
	for name, text := range generate() {
		if err := os.WriteFile(filepath.Join(*out, name), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// generate returns the content of each file by name.
func generate() map[string]string {
	return map[string]string{
		"avx512_amd64.s": vaesAVX512(),
		"skewed_amd64.s": skewedAVX512(),
		"avx2_amd64.s":   vaesAVX2(),
		"avx_amd64.s":    aesniAVX(),
		"aes_arm64.s":    aesARM64(),
	}
}
