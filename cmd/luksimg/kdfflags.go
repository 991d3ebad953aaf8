package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/luks"
)

// kdfFlags select the key derivation of a new key slot.
type kdfFlags struct {
	pbkdf           string
	memory          uint32
	parallel        uint32
	forceIterations uint32
	iterTime        int
}

func (o *kdfFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.pbkdf, "pbkdf", "", "key derivation: argon2id, argon2i or pbkdf2 (default: argon2id for a passphrase in LUKS2, otherwise pbkdf2)")
	f.Uint32Var(&o.memory, "pbkdf-memory", 0, "memory of Argon2 in KiB (default 65536)")
	f.Uint32Var(&o.parallel, "pbkdf-parallel", 0, "lanes of Argon2 (default 4)")
	f.Uint32Var(&o.forceIterations, "pbkdf-force-iterations", 0, "iterations of PBKDF2, or passes of Argon2 (default: 600000 for SHA-256, or 4; 1000 for a generated key)")
	f.IntVar(&o.iterTime, "iter-time", 0, "choose the cost so that deriving the key takes this many milliseconds on this machine")
}

func (o *kdfFlags) check(c *cobra.Command) error {
	if o.iterTime < 0 {
		return fmt.Errorf("--iter-time %d: want a number of milliseconds", o.iterTime)
	}
	return flags.AtMostOne(c, "iter-time", "pbkdf-force-iterations")
}

// kdf returns the key derivation that the flags select, without measuring.
func (o *kdfFlags) kdf() luks.KDF {
	return luks.KDF{Type: o.pbkdf, Iterations: o.forceIterations, Memory: o.memory, Parallel: o.parallel}
}

// measure returns k, or with --iter-time the cost that calibrate measures for that time.
func (o *kdfFlags) measure(ctx context.Context, k luks.KDF, calibrate func(context.Context, time.Duration) (luks.KDF, error)) (luks.KDF, error) {
	if o.iterTime == 0 {
		return k, nil
	}
	return calibrate(ctx, time.Duration(o.iterTime)*time.Millisecond)
}

// kdfLimits limit the cost of opening images. The limits apply to each image that the verb opens with a key.
type kdfLimits struct {
	memory flags.Size
	work   uint64
	policy policyFlag // a policy for the header
}

func (l *kdfLimits) add(c *cobra.Command) {
	f := c.Flags()
	f.Var(&l.memory, "kdf-memory-limit", "maximum memory to open a key slot; k, M, G are powers of 1024 (default 4G)")
	f.Uint64Var(&l.work, "kdf-work-limit", 0, "maximum work to open an image, for all its key slots: iterations of PBKDF2 per block of the key, or quarters of a KiB of Argon2 per pass (default 160000000)")
}

// apply returns o with the limits.
func (l *kdfLimits) apply(o luks.OpenOptions) luks.OpenOptions {
	o.MaxMemory, o.MaxWork = l.memory.N, l.work
	if l.policy.given() {
		o.Accept = l.policy.accept
	}
	return o
}
