//go:build linux

package interop_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	root "github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/interop"
	"github.com/luksimg/luksimg/luks"
)

// oddities are unusual images that cryptsetup makes: changed by other commands, damaged, or with
// features that luksimg does not support. luksimg must open each with the right data or return the
// right error.
var oddities = []struct {
	name     string
	version  int
	format   []string
	post     []string // cryptsetup commands to run afterwards
	damage   func(b []byte)
	err      error
	warnings int
	open     luks.OpenOptions
}{
	{name: "converted to LUKS2", version: 1, post: []string{`cryptsetup convert -q --type luks2 "$dev"`}},
	{name: "converted to LUKS1", version: 2, format: []string{"--luks2-keyslots-size", "2064384"}, post: []string{`cryptsetup convert -q --type luks1 "$dev"`}},
	{name: "converted there and back", version: 1, post: []string{`cryptsetup convert -q --type luks2 "$dev"`, `cryptsetup convert -q --type luks1 "$dev"`}},
	{name: "second slot", version: 1, post: []string{addOther, `cryptsetup luksKillSlot -q --key-file /tmp/other "$dev" 0`,
		`cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-slot 5 --key-file /tmp/other "$dev" "$key"`}},
	{name: "unbound slot", version: 2, post: []string{`cryptsetup luksAddKey -q --unbound --key-size 512 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$key" "$dev" "$key"`}},
	{name: "ignored slot", version: 2, post: []string{`cryptsetup config --priority ignore --key-slot 0 "$dev"`}, err: luks.ErrNotTried},
	{name: "preferred slot", version: 2, post: []string{addOther, `cryptsetup config --priority prefer --key-slot 1 "$dev"`}},
	{name: "token", version: 2, post: []string{`cryptsetup token add --key-description x --key-slot 0 "$dev"`}},
	{name: "flags", version: 2, post: []string{`cryptsetup open --key-file "$key" --persistent --allow-discards "$dev" flags`, `cryptsetup close flags`}},
	{name: "label", version: 2, post: []string{`cryptsetup config --label 0123456789012345678901234567890123456789012345 --subsystem x "$dev"`}},
	{name: "erased", version: 2, post: []string{`cryptsetup luksErase -q "$dev"`}, err: luks.ErrNoSlot},
	{name: "LUKS1 erased", version: 1, post: []string{`cryptsetup luksErase -q "$dev"`}, err: luks.ErrNoSlot},
	{name: "primary zeroed", version: 2, damage: zero(0, 16384), warnings: 1},
	{name: "secondary zeroed", version: 2, damage: zero(16384, 16384), warnings: 1},
	{name: "primary zeroed, 64 KiB metadata", version: 2, format: []string{"--luks2-metadata-size", "64k"}, damage: zero(0, 65536), warnings: 1},
	{name: "primary zeroed, 4 MiB metadata", version: 2, format: []string{"--luks2-metadata-size", "4m"}, damage: zero(0, 4<<20), warnings: 1},
	{name: "both zeroed", version: 2, damage: zero(0, 32768), err: luks.ErrNotLUKS},
	{name: "both checksums", version: 2, damage: func(b []byte) { b[5000] ^= 1; b[16384+5000] ^= 1 }, err: luks.ErrFormat},
	{name: "key material damaged", version: 2, damage: func(b []byte) { b[32768+1000] ^= 1 }, err: luks.ErrPassphrase},
	{name: "LUKS1 header damaged", version: 1, damage: func(b []byte) { b[255] ^= 1 }, err: luks.ErrFormat},
	{name: "null cipher", version: 2, format: []string{"--cipher", "cipher_null-ecb", "--key-size", "256"}, err: luks.ErrNullCipher},
	{name: "null cipher, allowed", version: 2, format: []string{"--cipher", "cipher_null-ecb", "--key-size", "256"}, open: luks.OpenOptions{AllowNullCipher: true}},
	{name: "integrity", version: 2, format: []string{"--integrity", "hmac-sha256", "--integrity-no-wipe"}, err: luks.ErrUnsupported, warnings: 1},
	{name: "reencryption", version: 2, format: []string{"--luks2-keyslots-size", "4m"},
		post: []string{`cryptsetup reencrypt -q --init-only --key-file "$key" "$dev"`}, err: luks.ErrUnsupported, warnings: 5},
	{name: "memory", version: 2, format: []string{"--pbkdf", "argon2id", "--pbkdf-memory", "4096", "--pbkdf-force-iterations", "4"},
		open: luks.OpenOptions{MaxMemory: 4095 << 10}, err: luks.ErrLimit},
}

const addOther = `printf other >/tmp/other; cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --pbkdf pbkdf2 --key-file "$key" "$dev" /tmp/other`

func zero(off, n int) func(b []byte) { return func(b []byte) { clear(b[off : off+n]) } }

func TestOddities(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	disk, dir, keyFile := matrixPlain(t), t.TempDir(), interop.KeyFile(t, dek)
	var jobs []interop.MakeJob
	for i, c := range oddities {
		format := []string{"--type", "luks1", "--pbkdf-force-iterations", "1000"}
		if c.version == 2 {
			format = []string{"--type", "luks2", "--sector-size", "512"}
			if len(c.format) == 0 || c.format[0] != "--pbkdf" {
				format = append(format, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
			}
		}
		jobs = append(jobs, interop.MakeJob{Out: filepath.Join(dir, string(rune('a'+i))), Size: 20 << 20, KeyFile: keyFile,
			Plain: disk.Path, Format: append(format, c.format...), Post: c.post})
	}
	for i, m := range interop.GuestMake(t, jobs...) {
		c := oddities[i]
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, 0, m.Status, "%+v", m)
			path := jobs[i].Out
			if c.damage != nil {
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				c.damage(b)
				interop.WriteFile(t, path, b)
			}
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			h, err := luks.Open(f, jobs[i].Size, c.open)
			var v *luks.Volume
			if err == nil {
				assert.Len(t, h.Info().Warnings, c.warnings)
				v, err = h.Unlock(t.Context(), []byte(dek))
			}
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				t.Logf("refused: %v", err)
				return
			}
			require.NoError(t, err)
			defer v.Close()
			out := filepath.Join(t.TempDir(), "plain")
			decryptTo(t, out, v)
			assert.Equal(t, m.SHA256, interop.FileSHA256(t, out))
			src, err := os.Open(disk.Path)
			require.NoError(t, err)
			defer src.Close()
			img, err := root.OpenImage(t.Context(), src, disk.Size, root.ImageOptions{})
			require.NoError(t, err)
			assert.NoError(t, root.Verify(context.Background(), img, v, root.VerifyOptions{}))
		})
	}
}
