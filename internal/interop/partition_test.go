//go:build linux

package interop_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// TestLuksimgPartition uses LUKS by cryptsetup in partition 2 of a GPT by sfdisk. luksimg must detect,
// read and list it, and change its keys in place, so that cryptsetup and dm-crypt still open it.
func TestLuksimgPartition(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup", "mke2fs", "sfdisk")
	const mib, start = 1 << 20, 2 << 20
	d := interop.WholeDisk(t)
	key, second := interop.KeyFile(t, "not text: \x00\xff\n"), interop.KeyFile(t, "second")
	types := []string{"luks1", "luks2"}
	var jobs []interop.MakeJob
	for i, typ := range types {
		jobs = append(jobs, interop.MakeJob{Out: filepath.Join(t.TempDir(), typ), Size: []int64{2 * mib, 16 * mib}[i] + d.Size, KeyFile: key, Plain: d.Path,
			Format: []string{"--type", typ, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}})
	}
	made := interop.GuestMake(t, jobs...)
	var opens []interop.OpenJob
	for i, typ := range types {
		require.Equal(t, 0, made[i].Status, made[i].Errors)
		part, err := os.ReadFile(jobs[i].Out)
		require.NoError(t, err)
		disk := filepath.Join(t.TempDir(), "disk.raw")
		layout := filepath.Join(t.TempDir(), "layout")
		interop.WriteFile(t, layout, fmt.Appendf(nil, "label: gpt\nstart=2048, size=1M, type=U\nstart=4096, size=%d, type=CA7D7CCB-63ED-4C53-861C-1742536059CC\nsize=1M, type=L\n", len(part)/512))
		before := make([]byte, start+len(part)+3*mib)
		interop.WriteFile(t, disk, before)
		interop.Must(t, "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin exec sfdisk -q "$1" <"$2"`, "sh", disk, layout)
		f, err := os.OpenFile(disk, os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt(part, start)
		require.NoError(t, err)
		_, err = f.ReadAt(before, 0)
		require.NoError(t, err)

		uuid := strings.TrimSpace(interop.Must(t, "cryptsetup", "luksUUID", jobs[i].Out).Stdout)
		require.NotEmpty(t, uuid)
		assert.Contains(t, luksimg(t, "inspect", disk).Stdout, typ+`, UUID "`+uuid+`"`)
		assert.Contains(t, luksimg(t, "inspect", "--partition", "2", disk).Stdout, uuid)
		mustLuksimg(t, "key", "add", "--partition", "2", "--key-file", key, "--new-key-file", second, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", disk)

		for _, k := range []string{key, second} {
			out := filepath.Join(t.TempDir(), "out.raw")
			mustLuksimg(t, "decrypt", "--partition", "2", "--key-file", k, disk, out)
			assert.Equal(t, interop.FileSHA256(t, d.Path), interop.FileSHA256(t, out), typ)
		}
		assert.Equal(t, "marker\n", luksimg(t, "ls", "--partition", "2", "--key-file", second, disk, "/etc").Stdout)
		files := filepath.Join(t.TempDir(), "files")
		mustLuksimg(t, "cp", "-r", "--partition", "2", "--key-file", second, disk+":/", files)
		assert.Equal(t, interop.Marker, readFile(t, filepath.Join(files, "etc/marker")))
		assert.Equal(t, strings.Repeat("one line like the others\n", 50000), readFile(t, filepath.Join(files, "var/text")))

		after := make([]byte, len(before))
		_, err = f.ReadAt(after, 0)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(before[:start], after[:start]) && bytes.Equal(before[start+len(part):], after[start+len(part):]), "data outside of the partition changed")
		copied := filepath.Join(t.TempDir(), "partition")
		interop.WriteFile(t, copied, after[start:][:len(part)])
		interop.CheckHeaders(t, copied)
		for _, k := range []string{key, second} {
			assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, copied, k, typ))
			opens = append(opens, interop.OpenJob{Image: copied, KeyFile: k, Type: typ})
		}
	}
	for _, o := range interop.GuestOpen(t, opens...) {
		assert.Equal(t, 0, o.Status, o.Errors)
		assert.Equal(t, made[0].SHA256, o.SHA256)
	}
}
