package luks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/luks"
)

// manySlots returns an image with n key slots besides the first. change edits each; their areas of 4096
// bytes hold no key.
func manySlots(t *testing.T, n int, change func(slot tree)) []byte {
	t.Helper()
	img := write(t, nil, luks.Options{KDF: cheap, DataOffset: 2 << 20})
	m := getJSON(t, img)
	var bound []any
	text, err := json.Marshal(at(m, "keyslots.0"))
	if err != nil {
		t.Fatal(err)
	}
	area := at(m, "keyslots.0.area")
	var size int64
	fmt.Sscan(area["size"].(string), &size)
	for i := range n {
		var s tree
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		change(s)
		at(s, "area")["offset"] = fmt.Sprint(32768 + int64(i)*size)
		at(m, "keyslots")[fmt.Sprint(i)] = s
		bound = append(bound, fmt.Sprint(i))
	}
	at(m, "digests.0")["keyslots"] = bound
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return setJSON(t, img, b)
}

func pbkdf2With(hash string, iterations int64, keySize int) func(tree) {
	return func(s tree) {
		at(s, "kdf")["hash"], at(s, "kdf")["iterations"] = hash, iterations
		at(s, "area")["key_size"] = keySize
	}
}

// TestBudget uses key slots that are within the limit one by one, but not together.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		name    string
		slots   int
		change  func(tree)
		work    uint64 // the least that suffices for all slots, with 1000 for each digest
		tooMuch int    // slots that are left out with one unit less
	}{
		{"one", 1, pbkdf2With("sha256", 5000, 32), 6000, 1},
		{"all slots together", 5, pbkdf2With("sha256", 5000, 32), 30000, 1},
		{"blocks", 2, pbkdf2With("sha256", 5000, 64), 22000, 1},
		{"blocks of a short hash", 1, pbkdf2With("sha1", 5000, 64), 21000, 1},
		{"a hash that costs more", 1, pbkdf2With("sha512", 5000, 64), 11000, 1},
		{"Argon2", 2, func(s tree) {
			s["kdf"] = tree{"type": "argon2id", "salt": at(s, "kdf")["salt"], "time": 4, "memory": 64, "cpus": 1}
		}, 2 * (4*4*64 + 1000), 1},
	} {
		img := manySlots(t, c.slots, c.change)
		for _, less := range []uint64{0, 1} {
			h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxWork: c.work - less})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Unlock(t.Context(), []byte("wrong"))
			left := 0
			for i := range c.slots {
				if err != nil && strings.Contains(err.Error(), fmt.Sprintf("key slot %d was left out", i)) {
					left++
				}
			}
			want := c.tooMuch * int(less)
			if left != want || errors.Is(err, luks.ErrLimit) != (want > 0) ||
				errors.Is(err, luks.ErrPassphrase) != (want < c.slots) || errors.Is(err, luks.ErrNotTried) != (want == c.slots) {
				t.Errorf("%s, %d less: %d left out, want %d: %v", c.name, less, left, want, err)
			}
		}
	}
}

// TestKeySizeFirst uses a key slot whose key has a wrong size for its cipher, and takes very long to
// derive.
func TestKeySizeFirst(t *testing.T) {
	for name, change := range map[string]func(tree){
		"of the area":       pbkdf2With("sha512", 1<<31, 512),
		"of the volume key": func(s tree) { pbkdf2With("sha512", 1<<31, 64)(s); s["key_size"] = 1 },
		"no such cipher": func(s tree) {
			pbkdf2With("sha512", 1<<31, 64)(s)
			at(s, "area")["encryption"] = "rot13-xts-plain64"
		},
		"null cipher": func(s tree) {
			pbkdf2With("sha512", 1<<31, 64)(s)
			at(s, "area")["encryption"] = "cipher_null-ecb"
		},
	} {
		img := manySlots(t, 3, change)
		h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxWork: 1 << 62})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Unlock(t.Context(), passphrase)
		if !errors.Is(err, luks.ErrNotTried) || errors.Is(err, luks.ErrPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCut opens an image that ends within the key material.
func TestCut(t *testing.T) {
	img := write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20})[:100_000]
	_, err := open(t, img).Unlock(t.Context(), passphrase)
	if !errors.Is(err, luks.ErrNotTried) || errors.Is(err, luks.ErrPassphrase) {
		t.Error(err)
	}
}

// TestCancelled cancels key derivations that would take hours.
func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	slow := luks.KDF{Type: luks.PBKDF2, Iterations: 1<<32 - 1}
	for name, f := range map[string]func(ctx context.Context) error{
		"PBKDF2": func(ctx context.Context) error {
			img := manySlots(t, 2, pbkdf2With("sha256", 1<<32-1, 64))
			h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxWork: 1 << 62})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Unlock(ctx, passphrase)
			return err
		},
		"digest": func(ctx context.Context) error {
			img := write(t, nil, luks.Options{Version: 1, KDF: cheap})
			copy(img[164:], "\xff\xff\xff\xff") // mk-digest-iter
			h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxWork: 1 << 62})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Volume(ctx, nil, 0, make([]byte, 64))
			return err
		},
		"New": func(ctx context.Context) error {
			_, _, err := luks.New(ctx, passphrase, luks.Options{KDF: slow})
			return err
		},
		"AddKey": func(ctx context.Context) error {
			img := write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20})
			e, j := edit(t, img)
			key, _, err := e.Header().VolumeKey(t.Context(), passphrase, luks.AnySlot)
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.AddKey(ctx, luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: newPassphrase, KeyOptions: luks.KeyOptions{KDF: slow}})
			if !bytes.Equal(j.b, img) {
				t.Error("AddKey wrote before it had its key")
			}
			return err
		},
		"Argon2": func(ctx context.Context) error {
			_, _, err := luks.New(ctx, passphrase, luks.Options{KDF: luks.KDF{Iterations: 1000, Memory: 1024}})
			return err
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		if err := f(ctx); !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
