//go:build linux

package interop_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// layers makes a folder with a chain of images, and a raw file with the content of the last one,
// converted by qemu-img.
func layers(t *testing.T, formats ...string) (dir, last, raw string) {
	t.Helper()
	interop.Need(t, "qemu-img", "qemu-io")
	dir = t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	base := "base." + formats[0]
	interop.Must(t, "qemu-img", "create", "-q", "-f", formats[0], path(base), "6M")
	interop.Must(t, "qemu-io", "-f", formats[0], "-c", "write -P 0x11 0 3M", "-c", "write -P 0x22 5M 512k", path(base))
	below := formats[0]
	for i, f := range formats[1:] {
		name := fmt.Sprintf("layer%d.%s", i, f)
		// The name of a backing file is relative to the image.
		interop.Must(t, "qemu-img", "create", "-q", "-f", f, "-b", base, "-F", below, path(name), fmt.Sprintf("%dM", 7+i))
		interop.Must(t, "qemu-io", "-f", f, "-c", fmt.Sprintf("write -P %d %dk 100k", 0x33+i, 512+1024*i), path(name))
		base, below = name, f
	}
	raw = path("qemu.raw")
	interop.Must(t, "qemu-img", "convert", "-f", below, "-O", "raw", path(base), raw)
	return dir, path(base), raw
}

// TestChains reads chains of images in mixed formats with luksimg, and compares them with qemu-img.
func TestChains(t *testing.T) {
	t.Parallel()
	for _, formats := range [][]string{
		{"raw", "qcow2"}, {"vpc", "qcow2"}, {"vhdx", "qcow2"}, {"vmdk", "qcow2"}, {"vdi", "qcow2"}, {"qcow2", "qcow2", "qcow2"}, {"raw", "qcow2", "qcow2", "qcow2"},
	} {
		t.Run(strings.Join(formats, "-"), func(t *testing.T) {
			t.Parallel()
			dir, last, raw := layers(t, formats...)
			r := luksimg(t, "convert", last, filepath.Join(dir, "x"))
			assert.Equal(t, luksimgFailed, r.Code)
			assert.Contains(t, r.Stderr, "no other files are opened")
			assert.Contains(t, r.Stderr, "--allow-backing")

			out := filepath.Join(dir, "luksimg.raw")
			mustLuksimg(t, "convert", "--allow-backing", last, out)
			interop.Must(t, "cmp", raw, out)

			keyFile, enc := interop.KeyFile(t, dek), filepath.Join(dir, "luks")
			encrypt(t, last, enc, keyFile, append([]string{"--allow-backing", "--verify"}, shapes[0].args...)...)
			back := filepath.Join(dir, "back.raw")
			mustLuksimg(t, "decrypt", "--key-file", keyFile, enc, back)
			interop.Must(t, "cmp", raw, back)
		})
	}
}

// TestOutside names backing files that luksimg must not open even with --allow-backing.
func TestOutside(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img")
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	require.NoError(t, os.Mkdir(in, 0o755))
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, make([]byte, 1<<20), 0o644))
	require.NoError(t, os.Symlink(secret, filepath.Join(in, "link")))
	require.NoError(t, os.Symlink("..", filepath.Join(in, "up")))
	require.NoError(t, os.WriteFile(filepath.Join(in, "inside"), make([]byte, 1<<20), 0o644))
	interop.Must(t, "mkfifo", filepath.Join(in, "fifo"))
	image := filepath.Join(in, "image.qcow2")
	for name, refused := range map[string]bool{
		secret: true, "../secret": true, "link": true, "up/secret": true, "../in/../secret": true, "/etc/passwd": true, "/dev/zero": true,
		"fifo": true, "missing": true, "nbd://localhost/x": true, `json:{"driver":"raw","file.filename":"/etc/passwd"}`: true,
		"inside": false, "./inside": false, "file:inside": false, filepath.Join(in, "inside"): false, "../in/inside": true,
	} {
		interop.Must(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "size=1M", image)
		interop.Must(t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", name, image)
		opens := watch(t, secret)
		r := luksimg(t, "cat", "--allow-backing", image)
		if refused {
			assert.Equal(t, luksimgFailed, r.Code, "%q: %s", name, r.Stderr)
			assert.Empty(t, r.Stdout, name)
		} else {
			assert.Equal(t, luksimgOK, r.Code, "%q: %s", name, r.Stderr)
		}
		assert.Zero(t, opens(), "%q: luksimg opened the file outside", name)
	}
	// The watch counts openings of an allowed file.
	opens := watch(t, secret)
	_, err := os.ReadFile(secret)
	require.NoError(t, err)
	assert.NotZero(t, opens(), "the watch missed an opening")

	// A cyclic chain.
	interop.Must(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "size=1M", filepath.Join(in, "b.qcow2"))
	interop.Must(t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "b.qcow2", image)
	interop.Must(t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "image.qcow2", filepath.Join(in, "b.qcow2"))
	r := luksimg(t, "cat", "--allow-backing", image)
	assert.Equal(t, luksimgFailed, r.Code)
	assert.Contains(t, r.Stderr, "loop")
}

// TestNamesNothing makes an image of each format that names another file. Without --allow-backing no
// verb may open that file.
func TestNamesNothing(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	other := path("other")
	require.NoError(t, os.WriteFile(other, make([]byte, 1<<20), 0o644))
	interop.Must(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", other, path("backing"))
	interop.Must(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file="+other+",data_file_raw=on", path("data"), "1M")
	interop.Must(t, "qemu-img", "create", "-q", "-f", "vmdk", path("base.vmdk"), "1M")
	interop.Must(t, "qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", path("base.vmdk"), path("delta"))
	require.NoError(t, os.WriteFile(path("flat"), []byte("# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"+
		"createType=\"monolithicFlat\"\nRW 2048 FLAT \""+other+"\" 0\n"), 0o644))
	opens, base := watch(t, other), watch(t, path("base.vmdk"))
	for _, image := range []string{"backing", "data", "delta", "flat"} {
		for _, args := range [][]string{
			{"convert", path(image), path("x")}, {"cat", path(image)}, {"inspect", path(image)}, {"inspect", "--map", path(image)},
			{"encrypt", "--key-file", other, path(image), path("x")}, {"measure", path(image)},
		} {
			r := luksimg(t, args...)
			if args[0] != "inspect" || len(args) > 2 {
				assert.Equal(t, luksimgFailed, r.Code, "%v: %s", args, r)
			} else {
				assert.Equal(t, luksimgOK, r.Code, "%v: %s", args, r)
			}
		}
		// The file is also the key file of encrypt, which rejects the image before it reads the key.
		assert.Zero(t, opens(), "%s: the other file was opened", image)
		assert.Zero(t, base(), "%s: the parent was opened", image)
	}
}

// TestMap compares the map of data with that of qemu-img.
func TestMap(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img", "qemu-io")
	type extent struct {
		Start, Length int64
		Data          bool
	}
	ranges := func(text string) (all []extent) {
		var extents []extent
		require.NoError(t, json.Unmarshal([]byte(text), &extents))
		for _, e := range extents {
			if n := len(all); n > 0 && all[n-1].Data == e.Data && all[n-1].Start+all[n-1].Length == e.Start {
				all[n-1].Length += e.Length
				continue
			}
			all = append(all, e)
		}
		return all
	}
	for _, f := range []struct{ format, opts string }{
		{"qcow2", ""}, {"qcow2", "cluster_size=4k"}, {"qcow2", "extended_l2=on"}, {"qcow2", "compat=0.10"}, {"vpc", "force_size=on"}, {"vmdk", ""},
	} { // for VHDX, qemu-img reports everything as data
		image := filepath.Join(t.TempDir(), "image")
		args := []string{"create", "-q", "-f", f.format}
		if f.opts != "" {
			args = append(args, "-o", f.opts)
		}
		interop.Must(t, "qemu-img", append(args, image, "64M")...)
		interop.Must(t, "qemu-io", "-f", f.format, "-c", "write -P 1 0 64k", "-c", "write -P 2 10M 1M", "-c", "write -P 3 33M 128k", image)
		if f.format == "qcow2" && f.opts != "compat=0.10" {
			interop.Must(t, "qemu-io", "-f", f.format, "-c", "write -z 10M 512k", "-c", "discard 33M 64k", image)
		}
		want := ranges(interop.Must(t, "qemu-img", "map", "--output=json", "-f", f.format, image).Stdout)
		r := luksimg(t, "inspect", "--json", "--map", image)
		require.Equal(t, luksimgOK, r.Code, r)
		var got struct{ Map json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(r.Stdout), &got))
		have := ranges(string(got.Map))
		if f.format != "vpc" {
			assert.Equal(t, want, have, "%s %s", f.format, f.opts)
			continue
		}
		// QEMU reports a whole block of a VHD as data, and ignores holes of the file in it.
		data := 0
		for _, e := range have {
			if !e.Data {
				continue
			}
			data++
			assert.True(t, slices.ContainsFunc(want, func(w extent) bool {
				return w.Data && w.Start <= e.Start && e.Start+e.Length <= w.Start+w.Length
			}), "%+v is not in %+v", e, want)
		}
		assert.GreaterOrEqual(t, data, 3)
	}
}
