package main

import (
	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/luks"
)

// kdfLimits bound what opening an image may cost. They are the same for all images of a
// verb that a key opens.
type kdfLimits struct {
	memory flags.Size
	work   uint64
}

func (l *kdfLimits) add(c *cobra.Command) {
	f := c.Flags()
	f.Var(&l.memory, "kdf-memory-limit", "memory that opening a key slot may take; k, M, G are powers of 1024 (default 4G)")
	f.Uint64Var(&l.work, "kdf-work-limit", 0, "work that opening an image may take, all key slots together: iterations of PBKDF2 for each block of the key, or a quarter of a KiB of Argon2 in each pass (default 160000000)")
}

// apply returns o with the limits.
func (l *kdfLimits) apply(o luks.OpenOptions) luks.OpenOptions {
	o.MaxMemory, o.MaxWork = l.memory.N, l.work
	return o
}
