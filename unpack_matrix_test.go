package luksimg_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/luks"
)

// packers are programs that compress images, as filters.
var packers = map[string][]string{
	"gzip":              {"gzip", "-1c"},
	"pigz":              {"pigz", "-1c"},
	"xz, one block":     {"xz", "-0c", "-T1"},
	"xz, many blocks":   {"xz", "-0c", "-T1", "--block-size=400KiB"},
	"xz, long blocks":   {"xz", "-0c", "-T1", "--block-size=4MiB"},
	"zstd":              {"zstd", "-1qc"},
	"zstd of a file":    {"zstd", "-1qc", "--stream-size="}, // the length of the file is appended
	"zstd, many frames": {"pzstd", "-1qc", "-p", "4"},
	"bzip2":             {"bzip2", "-1c"},
}

// pack compresses b.
func pack(t testing.TB, b []byte, packer string) []byte {
	t.Helper()
	args := packers[packer]
	if packer == "zstd of a file" {
		args = append(args[:2:2], fmt.Sprint("--stream-size=", len(b)))
	}
	need.Program(t, args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

// images makes an image of a raw disk in each format with qemu-img.
func images(t testing.TB, raw []byte) map[string][]byte {
	t.Helper()
	need.Program(t, "qemu-img")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "raw"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"raw": raw}
	for format, args := range map[string][]string{"qcow2": nil, "vpc": {"-o", "force_size=on"}, "vhdx": nil, "vmdk": nil, "vdi": nil} {
		need.Run(t, dir, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", format}, args...), "raw", format)...)
		b, err := os.ReadFile(filepath.Join(dir, format))
		if err != nil {
			t.Fatal(err)
		}
		all[format] = b
	}
	return all
}

// TestUnpackMatrix encrypts each format in each compression into LUKS1 and qcow2, in one pass if
// possible. The result must equal the plain disk.
func TestUnpackMatrix(t *testing.T) {
	raw := rawDisk(9 << 20)
	made := luks.OpenOptions{}
	for format, file := range images(t, raw) {
		for packer := range packers {
			t.Run(format+" in "+packer, func(t *testing.T) {
				t.Parallel()
				n := 0
				z := pack(t, file, packer)
				img, err := open(t, z, luksimg.ImageOptions{Unpack: luksimg.Unpacking{Scratch: scratch(t, &n)}})
				if err != nil {
					t.Fatal(err)
				}
				if random := n == 0 && !img.InOrder; (packer == "xz, many blocks" || packer == "xz, long blocks") && !random && len(file) > 4<<20 {
					t.Errorf("an index was not used: in order %v, %d scratch files", img.InOrder, n)
				}
				for _, o := range []luksimg.EncryptOptions{{Format: luksimg.LUKS1, LUKS: luks.Options{KDF: cheap}}, {Profile: luksimg.VPCQCOW2, LUKS: luks.Options{KDF: cheap}}} {
					out := new(growing)
					if _, err := luksimg.Encrypt(t.Context(), out, img, key, o); err != nil {
						t.Fatal(err)
					}
					back, err := open(t, out.b, luksimg.ImageOptions{Key: key, LUKS: made})
					if err != nil {
						t.Fatal(err)
					}
					if got := readAll(t, back); !bytes.Equal(got, raw) {
						t.Errorf("%s: the disk differs", back.Format)
					}
				}
				if format != "raw" {
					return
				}
				// Read the same image as a stream.
				s, err := luksimg.UnpackStream(t.Context(), bytes.NewReader(z), -1, luksimg.Unpacking{})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, raw) {
					t.Errorf("of a stream: %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

// TestUnpackCorrupt truncates compressed disks and changes single bytes, at many places. Each change
// must be an error, unless the format does not check those bytes.
func TestUnpackCorrupt(t *testing.T) {
	raw := rawDisk(1 << 20)
	const places = 200
	for packer := range packers {
		t.Run(packer, func(t *testing.T) {
			t.Parallel()
			z := pack(t, raw, packer)
			rnd := rand.New(rand.NewPCG(1, uint64(len(z))))
			for i := range places / 2 {
				cut := z[:rnd.IntN(len(z))]
				if b, err := unpacked(t, cut); err == nil {
					t.Errorf("truncated at %d of %d: a disk of %d bytes and no error", len(cut), len(z), len(b))
				}
				bad := bytes.Clone(z)
				at := rnd.IntN(len(bad))
				bad[at] ^= 1 << rnd.IntN(8)
				// Time and system in a gzip header are not checked, nor is the stated length.
				if b, err := unpacked(t, bad); err == nil && !bytes.Equal(b, raw) {
					t.Errorf("%d: byte %d of %d changed: a different disk of %d bytes and no error", i, at, len(z), len(b))
				}
			}
		})
	}
}

// unpacked returns the disk in a compressed file, read as Encrypt reads it.
func unpacked(t testing.TB, z []byte) ([]byte, error) {
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(z), int64(len(z)), luksimg.ImageOptions{})
	if err != nil {
		return nil, err
	}
	defer img.Close()
	if len(img.Layers) == 0 {
		return nil, errors.New("no longer compressed")
	}
	b := make([]byte, img.Size())
	if p, ok := image.AsPusher(img); ok {
		return b, p.Push(t.Context(), 2, func(p []byte, off int64) error {
			copy(b[off:], p)
			return nil
		})
	}
	_, err = image.ReadFull(img, b, 0)
	return b, err
}
