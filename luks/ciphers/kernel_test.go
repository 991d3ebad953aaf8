//go:build linux

package ciphers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/interop"
)

// A job is one encryption for the kernel: a cipher and its parameters.
type job struct {
	spec   string
	key    int    // bytes
	sector int    // bytes; 0 for 512
	large  bool   // iv_large_sectors
	offset uint64 // number of the first IV, in units of 512 bytes
}

// wrap is a few sectors below 2^32, and a multiple of 4096 bytes.
const wrap = 1<<32 - 8

var jobs = []job{
	// These are in package xts.
	{spec: "aes-xts-plain64", key: 32},
	{spec: "aes-xts-plain64", key: 64, offset: wrap},
	{spec: "aes-xts-plain", key: 64, offset: wrap},
	{spec: "aes-xts-plain64", key: 64, sector: 4096, offset: wrap},
	{spec: "aes-xts-plain64", key: 64, sector: 4096, large: true, offset: wrap},
	{spec: "aes-xts-plain", key: 64, sector: 4096, offset: wrap},
	{spec: "aes-xts-plain", key: 64, sector: 2048, large: true, offset: 4 * wrap},
	{spec: "capi:xts(aes)-plain64", key: 64, sector: 1024},

	// XTS in every other variant.
	{spec: "aes-xts-plain64", key: 48, offset: wrap},
	{spec: "aes-xts-plain64be", key: 64, offset: wrap},
	{spec: "aes-xts-benbi", key: 64, offset: wrap},
	{spec: "aes-xts-null", key: 32},
	{spec: "aes-xts-essiv:sha256", key: 64, offset: wrap},
	{spec: "aes-xts-essiv:sha256", key: 32, sector: 4096, large: true, offset: wrap},
	{spec: "serpent-xts-plain", key: 64, offset: wrap},
	{spec: "serpent-xts-plain64", key: 32, sector: 4096, offset: wrap},
	{spec: "twofish-xts-plain64", key: 64, offset: wrap},
	{spec: "twofish-xts-plain64", key: 48},
	{spec: "camellia-xts-plain64", key: 64, sector: 512},
	{spec: "camellia-xts-plain64", key: 48, sector: 2048},
	{spec: "capi:xts(serpent)-essiv:sha256", key: 64},

	{spec: "aes-cbc-essiv:sha256", key: 16},
	{spec: "aes-cbc-essiv:sha256", key: 32, offset: wrap},
	{spec: "aes-cbc-essiv:sha256", key: 32, sector: 4096, offset: wrap},
	{spec: "aes-cbc-essiv:sha256", key: 32, sector: 4096, large: true, offset: wrap},
	{spec: "aes-cbc-essiv:md5", key: 24},
	{spec: "aes-cbc-essiv:sha3-256", key: 32},
	{spec: "aes-cbc-essiv:blake2b-256", key: 32},
	{spec: "aes-cbc-plain", key: 32, offset: wrap},
	{spec: "aes-cbc-plain64", key: 24, offset: wrap},
	{spec: "aes-cbc-plain64be", key: 32, offset: wrap},
	{spec: "aes-cbc-benbi", key: 32, offset: wrap},
	{spec: "aes-cbc-null", key: 16},
	{spec: "aes-cbc-plain64:ignored", key: 16},
	{spec: "aes", key: 32, offset: wrap},
	{spec: "aes-plain", key: 32, offset: wrap},
	{spec: "capi:cbc(aes)-essiv:sha3-256", key: 32},
	{spec: "serpent-cbc-essiv:sha256", key: 32, offset: wrap},
	{spec: "serpent-cbc-essiv:sha1", key: 24},
	{spec: "serpent-cbc-essiv:rmd160", key: 16},
	{spec: "serpent-cbc-plain", key: 20},
	{spec: "twofish-cbc-essiv:sha256", key: 32},
	{spec: "twofish-cbc-plain", key: 24, offset: wrap},
	{spec: "camellia-cbc-essiv:sha256", key: 32, sector: 4096},
	{spec: "camellia-cbc-plain64", key: 16},

	{spec: "aes-ecb", key: 32},
	{spec: "aes-ecb-null", key: 16},
	{spec: "twofish-ecb-plain64", key: 32},
	{spec: "capi:ecb(camellia)", key: 32},
	{spec: "aes-ctr-plain64", key: 32, offset: wrap},
	{spec: "aes-ctr-plain64be", key: 16, sector: 4096},
	{spec: "aes-ctr-benbi", key: 32, offset: wrap},
	{spec: "aes-ctr-essiv:sha256", key: 32},
	{spec: "serpent-ctr-plain", key: 32, offset: wrap},

	{spec: "xchacha12,aes-adiantum-plain64", key: 32, offset: wrap},
	{spec: "xchacha12,aes-adiantum-plain64", key: 32, sector: 4096, offset: wrap},
	{spec: "xchacha12,aes-adiantum-plain", key: 32, sector: 4096, large: true, offset: 8 * wrap},
	{spec: "xchacha20,aes-adiantum-plain64", key: 32, sector: 1024},
	{spec: "xchacha20,aes-adiantum-plain64be", key: 32},
	{spec: "xchacha20,aes-adiantum-benbi", key: 32, sector: 2048},
	{spec: "capi:adiantum(xchacha20,aes)-plain64", key: 32, sector: 4096},
}

// refused are ciphers that neither the kernel nor this package supports.
var refused = []job{
	{spec: "aes-xts-plain64", key: 40},
	{spec: "aes-xts-plain64", key: 16},
	{spec: "aes-cbc-plain64", key: 20},
	{spec: "serpent-xts-plain64", key: 33},
	{spec: "twofish-cbc-plain", key: 20},
	{spec: "camellia-cbc-plain", key: 40},
	{spec: "xchacha12,aes-adiantum-plain64", key: 64},
	{spec: "aes-cbc-essiv", key: 32},
	{spec: "aes-cbc-essiv:sha1", key: 32},
	{spec: "aes-cbc-essiv:sha512", key: 32},
	{spec: "aes-cbc-essiv:SHA256", key: 32},
	{spec: "twofish-cbc-essiv:sha1", key: 32},
	{spec: "aes-ecb-essiv:sha256", key: 32},
	{spec: "xchacha12,aes-adiantum-essiv:sha256", key: 32},
	{spec: "AES-xts-plain64", key: 64},
	{spec: "aes-XTS-plain64", key: 64},
	{spec: "aes-xts", key: 64},
	{spec: "aes-xts-", key: 64},
	{spec: "aes--plain64", key: 64},
	{spec: "aes-", key: 32},
	{spec: "-cbc-plain", key: 32},
	{spec: "aes-plain-", key: 32},
	{spec: "aes-xts-plain65", key: 64},
	{spec: "xts(aes)-plain64", key: 64},
	{spec: "capi:xts(aes-plain64", key: 64},
	{spec: "capi:aes-plain64", key: 32},
	{spec: "capi:", key: 32},
	{spec: "aes-adiantum-plain64", key: 32},
	{spec: "xchacha12,aes-xts-plain64", key: 32},
	{spec: "aes-sha256-plain64", key: 32},
}

func (j job) options() dmcrypt.Options {
	return dmcrypt.Options{SectorSize: j.sector, LargeIV: j.large}
}

// secret returns bytes that differ between jobs but not between runs.
func secret(text string, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(text))).Read(p)
	return p
}

func (j job) keyBytes() []byte { return secret(fmt.Sprint(j), j.key) }

// line returns the line for testdata/dmcrypt.sh.
func (j job) line(name string) string {
	s := fmt.Sprintf("%s %s %x %d", name, j.spec, j.keyBytes(), j.offset)
	if j.sector > 512 {
		s += fmt.Sprintf(" sector_size:%d", j.sector)
	}
	if j.large {
		s += " iv_large_sectors"
	}
	return s + "\n"
}

// TestKernel encrypts with every cipher in a real kernel and compares all bytes.
func TestKernel(t *testing.T) {
	interop.NeedGuest(t)
	dir := t.TempDir()
	plain := secret("plaintext", 64<<10)
	plainFile := filepath.Join(dir, "plain")
	if err := os.WriteFile(plainFile, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	var input strings.Builder
	for i, j := range jobs {
		input.WriteString(j.line(fmt.Sprintf("job%d", i)))
	}
	for i, j := range refused {
		input.WriteString(j.line(fmt.Sprintf("refused%d", i)))
	}
	cmd := exec.CommandContext(t.Context(), "testdata/dmcrypt.sh", interop.Root(t), plainFile, dir)
	cmd.Stdin = strings.NewReader(input.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the guest failed: %v\n%s%s", err, out, &stderr)
	}
	verdict := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		verdict[name] = v
	}

	for i, j := range jobs {
		name := fmt.Sprintf("job%d", i)
		t.Run(fmt.Sprintf("%+v", j), func(t *testing.T) {
			if v := verdict[name]; v != "ok" {
				t.Fatalf("the kernel returned %q", v)
			}
			want, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			j.compare(t, plain, want)
		})
	}
	for i, j := range refused {
		t.Run(fmt.Sprintf("refused %+v", j), func(t *testing.T) {
			if v := verdict[fmt.Sprintf("refused%d", i)]; v != "refused" {
				t.Errorf("the kernel returned %q", v)
			}
			_, err := dmcrypt.New(j.spec, j.keyBytes(), j.options())
			if err == nil {
				t.Fatal("no error")
			}
			if !errors.Is(err, dmcrypt.ErrUnknownCipher) && !errors.Is(err, dmcrypt.ErrUnknownHash) && !errors.Is(err, dmcrypt.ErrKeySize) {
				t.Errorf("the error matches no known class: %v", err)
			}
		})
	}
}

// compare compares with the kernel's output, in one call and in two.
func (j job) compare(t *testing.T, plain, want []byte) {
	c, err := dmcrypt.New(j.spec, j.keyBytes(), j.options())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	unit := uint64(1)
	if j.sector > 512 {
		unit = uint64(j.sector / 512)
	}
	first := j.offset / unit
	got := make([]byte, len(plain))
	c.Encrypt(got, plain, first)
	if !bytes.Equal(got, want) {
		i := 0
		for got[i] == want[i] {
			i++
		}
		t.Fatalf("encrypted differs from byte %d on: %s, the kernel has %s", i, hex.EncodeToString(got[i:i+16]), hex.EncodeToString(want[i:i+16]))
	}
	half := len(got) / 2
	c.Decrypt(got[half:], got[half:], first+uint64(half)/512/unit)
	c.Decrypt(got[:half], got[:half], first)
	if !bytes.Equal(got, plain) {
		t.Fatal("decrypted differs from the plaintext")
	}
}
