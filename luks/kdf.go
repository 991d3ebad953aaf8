package luks

import (
	"bytes"
	"context"
	"crypto/fips140"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// The key derivation functions of LUKS, by the names in a LUKS2 header.
const (
	PBKDF2   = "pbkdf2"
	Argon2i  = "argon2i"
	Argon2id = "argon2id"
)

// A KDF is a key derivation function and its cost. The cost does not depend on the machine unless
// [Calibrate] is called. In [Options], zero fields get these defaults:
//
//   - Type: Argon2id for LUKS2; PBKDF2, the only one, for LUKS1; PBKDF2
//     if [Options.GeneratedKey] is set, or in Go's FIPS 140-3 mode, where Argon2
//     is [ErrNotApproved].
//   - Argon2: 4 passes over 64 MiB in 4 lanes. This is the memory-constrained
//     choice of RFC 9106, section 4, with one more pass: cryptsetup's minimum.
//   - PBKDF2 of a generated key: 1000 iterations, the minimum of LUKS.
//   - PBKDF2 of a passphrase: 600,000 iterations with SHA-256, 210,000 with
//     SHA-512, 1,300,000 with SHA-1 and others, as in OWASP's Password Storage
//     Cheat Sheet.
type KDF struct {
	// Type is [PBKDF2], [Argon2i] or [Argon2id].
	Type string
	// Hash is the hash of PBKDF2; "" means [Options.Hash]. LUKS1 has one hash for everything.
	Hash string
	// Iterations is the number of iterations of PBKDF2, at least 1000, or of passes of Argon2, at least
	// 4.
	Iterations uint32
	// Memory is the memory of Argon2 in KiB, from 32 to 4194304 (4 GiB).
	Memory uint32
	// Parallel is the number of lanes of Argon2, from 1 to 4.
	Parallel uint32
}

// Limits for new headers, as in cryptsetup's pbkdf_check.c. Existing headers can have more lanes.
const (
	minPBKDF2Iterations = 1000
	minArgon2Time       = 4
	minArgon2Memory     = 32
	maxArgon2Memory     = 4 << 20
	maxArgon2Lanes      = 4
	maxArgon2LanesRead  = 64
)

// resolve returns k with the defaults for o filled in and every field checked.
func (k KDF) resolve(o Options) (KDF, error) {
	if k.Type == "" {
		k.Type = Argon2id
		if o.Version == 1 || o.GeneratedKey || fips140.Enabled() {
			k.Type = PBKDF2
		}
	}
	switch k.Type {
	case PBKDF2:
		if k.Hash == "" {
			k.Hash = o.Hash
		}
		if k.Iterations == 0 {
			k.Iterations = defaultIterations(k.Hash, o.GeneratedKey)
		}
		if o.Version == 1 && k.Hash != o.Hash {
			return k, fmt.Errorf("luks: LUKS1 has one hash for everything: %q and %q conflict", o.Hash, k.Hash)
		}
		if k.Memory != 0 || k.Parallel != 0 {
			return k, fmt.Errorf("luks: pbkdf2 has neither memory nor lanes")
		}
	case Argon2i, Argon2id:
		if o.Version == 1 {
			return k, fmt.Errorf("luks: LUKS1 supports only pbkdf2, not %s", k.Type)
		}
		if k.Hash != "" {
			return k, fmt.Errorf("luks: %s has no hash", k.Type)
		}
		if k.Iterations == 0 {
			k.Iterations = minArgon2Time
		}
		if k.Memory == 0 {
			k.Memory = 64 << 10
		}
		if k.Parallel == 0 {
			k.Parallel = 4
		}
	}
	return k, k.check()
}

func defaultIterations(hash string, generated bool) uint32 {
	switch {
	case generated:
		return minPBKDF2Iterations
	case hash == "sha256":
		return 600_000
	case hash == "sha512":
		return 210_000
	}
	return 1_300_000
}

// check returns an error if k must not be written.
func (k KDF) check() error {
	if err := k.approved(); err != nil && fips140.Enabled() {
		return err
	}
	switch k.Type {
	case PBKDF2:
		if k.Iterations < minPBKDF2Iterations {
			return fmt.Errorf("luks: %d iterations of pbkdf2: want at least %d", k.Iterations, minPBKDF2Iterations)
		}
		_, err := hashByName(k.Hash)
		return err
	case Argon2i, Argon2id:
		if k.Iterations < minArgon2Time {
			return fmt.Errorf("luks: %d passes of %s: want at least %d", k.Iterations, k.Type, minArgon2Time)
		}
		if k.Memory < minArgon2Memory || k.Memory > maxArgon2Memory {
			return fmt.Errorf("luks: %d KiB of memory for %s: want from %d to %d", k.Memory, k.Type, minArgon2Memory, maxArgon2Memory)
		}
		if k.Parallel < 1 || k.Parallel > maxArgon2Lanes {
			return fmt.Errorf("luks: %d lanes of %s: want from 1 to %d", k.Parallel, k.Type, maxArgon2Lanes)
		}
		return nil
	}
	return fmt.Errorf("luks: no such key derivation function: %q: want %s, %s or %s", k.Type, Argon2id, Argon2i, PBKDF2)
}

// derive returns n bytes of key derived from passphrase and salt. It returns the cause of ctx as soon
// as ctx is done. k has been checked.
func (k KDF) derive(ctx context.Context, passphrase, salt []byte, n int) ([]byte, error) {
	switch k.Type {
	case PBKDF2:
		h, err := hashByName(k.Hash)
		if err != nil {
			return nil, err
		}
		return pbkdf2.Key(ctx, h, passphrase, salt, uint64(k.Iterations), n)
	case Argon2i:
		return k.argon2(ctx, argon2.Key, passphrase, salt, n)
	case Argon2id:
		return k.argon2(ctx, argon2.IDKey, passphrase, salt, n)
	}
	return nil, unsupported("key derivation function %q", k.Type)
}

// argon2 calls f, a function of package argon2, which cannot be stopped. When ctx is done, argon2
// returns at once. f then finishes in the background on a copy of the passphrase, and both are wiped.
func (k KDF) argon2(ctx context.Context, f func(passphrase, salt []byte, time, memory uint32, threads uint8, n uint32) []byte, passphrase, salt []byte, n int) ([]byte, error) {
	if err := k.checkRoom(); err != nil {
		return nil, err
	}
	passphrase = bytes.Clone(passphrase)
	result := make(chan []byte) // unbuffered: a result that nobody receives is wiped
	go func() {
		defer clear(passphrase)
		key := f(passphrase, salt, k.Iterations, k.Memory, uint8(k.Parallel), uint32(n))
		select {
		case result <- key:
		case <-ctx.Done():
			clear(key)
		}
	}()
	select {
	case key := <-result:
		return key, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Calibrate returns o.KDF for a new key slot of the image, with a cost at which deriving the key takes
// about d on this machine; see the function [Calibrate].
func (h *Header) Calibrate(ctx context.Context, o KeyOptions, d time.Duration) (KDF, error) {
	lo := Options{Version: h.version, KDF: o.KDF, GeneratedKey: o.GeneratedKey}
	if h.version == 1 {
		lo.Hash = h.Info().Hash
	}
	return Calibrate(ctx, lo, d)
}

// Calibrate returns o.KDF with the defaults of [New] and with Iterations such that deriving a key takes
// about d on this machine, as cryptsetup's --iter-time does. Iterations are never below the LUKS
// minimum, so Argon2 can take longer. When ctx is done, Calibrate returns its cause.
func Calibrate(ctx context.Context, o Options, d time.Duration) (KDF, error) {
	o.KDF.Iterations = 0
	o, err := o.resolve()
	if err != nil {
		return o.KDF, err
	}
	probe, least := o.KDF, uint32(minPBKDF2Iterations)
	if probe.Type != PBKDF2 {
		least = minArgon2Time
	}
	// Double the iterations until the time can be measured, then scale.
	for probe.Iterations = least; ; probe.Iterations *= 2 {
		start := time.Now()
		if _, err := probe.derive(ctx, []byte("calibrate"), make([]byte, saltSize), o.KeySize); err != nil {
			return o.KDF, err
		}
		took := time.Since(start)
		if took < d/4 && probe.Iterations < math.MaxUint32/2 {
			continue
		}
		scaled := float64(probe.Iterations) * (d.Seconds() / max(took, 1).Seconds())
		probe.Iterations = uint32(min(max(scaled, float64(least)), math.MaxUint32))
		return probe, nil
	}
}
