package luks

import (
	"errors"
	"fmt"
	"testing"
)

// TestDefaultBudget computes the work of whole headers with the zero OpenOptions. Headers that
// cryptsetup makes on fast machines must fit; headers that need minutes must not.
func TestDefaultBudget(t *testing.T) {
	check := digest{hash: "sha256", iterations: 1_000_000, value: make([]byte, 32)} // an eighth of a second
	pbkdf2 := func(hash string, iterations uint32) KDF {
		return KDF{Type: PBKDF2, Hash: hash, Iterations: iterations}
	}
	argon2 := func(passes, memory uint32) KDF {
		return KDF{Type: Argon2id, Iterations: passes, Memory: memory, Parallel: 4}
	}
	const gib = 1 << 20 // in KiB
	for _, c := range []struct {
		name  string
		kdf   KDF
		slots int
		tried int // slots tried, with a passphrase that opens none
	}{
		{"LUKS1, all slots", pbkdf2("sha256", 8_000_000), 8, 8},
		{"PBKDF2 with SHA-512, all slots of LUKS1", pbkdf2("sha512", 3_000_000), 8, 8},
		{"cryptsetup's default", argon2(4, gib), 8, 8},
		{"its default on a faster machine", argon2(12, gib), 1, 1},
		{"the most memory", argon2(4, 4*gib), 1, 1},
		{"all slots of LUKS2", argon2(4, gib/5), 32, 32},
		{"ten seconds", pbkdf2("sha256", 70_000_000), 1, 1},

		{"half a minute", pbkdf2("sha256", 200_000_000), 1, 0},
		{"half a minute together", pbkdf2("sha256", 100_000_000), 8, 1},
		{"Argon2", argon2(100, 4*gib), 1, 0},
		{"Argon2 together", argon2(6, 4*gib), 32, 1},
	} {
		left := OpenOptions{}.budget()
		tried := 0
		for i := range c.slots {
			err := (&Header{}).spend(keyslot{id: i, kdf: c.kdf, area: area{keySize: 32}}, &check, left)
			if err == nil {
				tried++
			} else if !errors.Is(err, ErrLimit) {
				t.Fatal(fmt.Errorf("%s: %w", c.name, err))
			}
		}
		if tried != c.tried {
			t.Errorf("%s: %d slots tried, want %d", c.name, tried, c.tried)
		}
	}
}

// TestHashWork checks that slower hashes count more. Whirlpool, which is not imported here, counts
// most.
func TestHashWork(t *testing.T) {
	for name, want := range map[string]uint64{"sha1": 1, "sha256": 1, "sha512": 2, "sha3-512": 6, "blake2b-512": 6, "whirlpool": 30, "wp512": 30} {
		if got := hashWork(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
