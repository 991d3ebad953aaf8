//go:build linux

package interop_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// dek is a data encryption key in the form that a cloud expects: base64 text without a newline.
const dek = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlISE="

// shapes are the formats that luksimg writes. The key derivation is cheap, because it is slow in the
// guest.
var shapes = []struct {
	name            string
	version, sector int
	args            []string
}{
	{"luks1-pbkdf2", 1, 512, []string{"--format", "luks1", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}},
	{"luks2-512-pbkdf2", 2, 512, []string{"--format", "luks2", "--sector-size", "512",
		"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}},
	{"luks2-512-argon2id", 2, 512, []string{"--format", "luks2", "--sector-size", "512",
		"--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-parallel", "2", "--pbkdf-force-iterations", "4"}},
	{"luks2-4096-pbkdf2", 2, 4096, []string{"--format", "luks2", "--sector-size", "4096",
		"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}},
	{"luks2-4096-argon2id", 2, 4096, []string{"--format", "luks2", "--sector-size", "4096",
		"--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-parallel", "2", "--pbkdf-force-iterations", "4"}},
}

// sources are the formats that luksimg reads, with functions that convert a disk to them.
var sources = []struct {
	name string
	make func(*testing.T, interop.Disk) string
}{
	{"raw", func(_ *testing.T, d interop.Disk) string { return d.Path }},
	{"fixed", func(t *testing.T, d interop.Disk) string { return d.VHD(t, "fixed") }},
	{"dynamic", func(t *testing.T, d interop.Disk) string { return d.VHD(t, "dynamic") }},
}

// encrypt makes an encrypted image dst of src, for the matrix.
func encrypt(t *testing.T, src, dst, keyFile string, args ...string) {
	t.Helper()
	mustLuksimg(t, append(append([]string{"encrypt"}, args...), "--key-file", keyFile, src, dst)...)
}

// TestLuksimgMatrix encrypts every source format in every shape. dm-crypt, cryptsetup, luks.go and
// qemu-img must read the bytes of the disk, and find a valid filesystem.
func TestLuksimgMatrix(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	interop.Need(t, "qemu-img", "mke2fs", "sfdisk")
	keyFile, dir := interop.KeyFile(t, dek), t.TempDir()
	// A partition table is valid only for sectors of 512 bytes.
	disks := map[int][]interop.Disk{
		512:  {interop.MBRDisk(t), interop.GPTDisk(t)},
		4096: {interop.WholeDisk(t)},
	}

	type row struct {
		interop.Image
		source string
	}
	var rows []row
	var jobs []interop.OpenJob
	for _, source := range sources {
		for _, shape := range shapes {
			for _, d := range disks[shape.sector] {
				name := source.name + "-" + d.Name + "-" + shape.name
				r := row{source: source.make(t, d), Image: interop.Image{Name: name, Path: filepath.Join(dir, name),
					KeyFile: keyFile, Version: shape.version, SectorSize: shape.sector, Plain: d}}
				r.Size = (d.Size + int64(shape.sector) - 1) / int64(shape.sector) * int64(shape.sector)
				r.SHA256 = d.SHA256(t, r.Size)
				encrypt(t, r.source, r.Path, keyFile, shape.args...)
				rows = append(rows, r)
				jobs = append(jobs, interop.OpenJob{Image: r.Path, KeyFile: keyFile, Type: r.Type(), FS: true})
			}
		}
	}
	opened := interop.GuestOpen(t, jobs...)

	wrong := interop.KeyFile(t, "wrong")
	for i, r := range rows {
		t.Run(r.Name, func(t *testing.T) {
			checkImage(t, r.Image, opened[i])
			if r.Version == 1 {
				checkPlainExactly(t, interop.QEMUDecrypt(t, r.Path, keyFile), r.Plain)
			}

			mustLuksimg(t, "verify", "--key-file", keyFile, r.source, r.Path)
			back := filepath.Join(t.TempDir(), "back")
			mustLuksimg(t, "decrypt", "--key-file", keyFile, r.Path, back)
			assert.Equal(t, r.SHA256, interop.FileSHA256(t, back))
			assert.Equal(t, luksimgWrongPassphrase, luksimg(t, "verify", "--key-file", wrong, r.source, r.Path).Code)
		})
	}
}

// checkPlainExactly fails the test unless the file is exactly the disk.
func checkPlainExactly(t *testing.T, path string, d interop.Disk) {
	t.Helper()
	assert.Equal(t, d.Size, interop.FileSize(t, path))
	checkPlain(t, path, d)
}

// TestLuksimgDefaults checks the defaults: LUKS2, 512-byte sectors, Argon2id at its full cost.
func TestLuksimgDefaults(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	d, keyFile := interop.MBRDisk(t), interop.KeyFile(t, dek)
	image := filepath.Join(t.TempDir(), "default.luks")
	encrypt(t, d.Path, image, keyFile)

	o := interop.GuestOpen(t, interop.OpenJob{Image: image, KeyFile: keyFile, Type: "luks2", FS: true})
	checkOpened(t, o[0], d, d.Size)
	interop.CheckHeaders(t, image)
	dump := interop.LUKSDump(t, image)
	assert.Regexp(t, `PBKDF: +argon2id`, dump)
	assert.Regexp(t, `sector: 512 \[bytes\]`, dump)
	assert.Regexp(t, `cipher: aes-xts-plain64`, dump)
}

// TestLuksimgRefusesLUKS1WithArgon2 checks that luksimg rejects Argon2 for LUKS1 and leaves no file.
func TestLuksimgRefusesLUKS1WithArgon2(t *testing.T) {
	t.Parallel()
	d, keyFile := interop.WholeDisk(t), interop.KeyFile(t, dek)
	image := filepath.Join(t.TempDir(), "image")
	r := luksimg(t, "encrypt", "--format", "luks1", "--pbkdf", "argon2id", "--key-file", keyFile, d.Path, image)
	assert.Equal(t, luksimgFailed, r.Code, r)
	assert.Contains(t, r.Stderr, "luksimg: error:")
	assert.NoFileExists(t, image)
}

// TestLuksimgReadsOthers checks that luksimg reads the images of QEMU and cryptsetup.
func TestLuksimgReadsOthers(t *testing.T) {
	t.Parallel()
	wrong := interop.KeyFile(t, "wrong")
	for _, f := range foreign(t) {
		t.Run(f.Name, func(t *testing.T) {
			decrypt := func(keyFile, dst string) interop.Result {
				args := []string{"decrypt", "--key-file", keyFile}
				if f.Header != "" {
					args = append(args, "--header", f.Header)
				}
				return luksimg(t, append(args, f.Path, dst)...)
			}
			back := filepath.Join(t.TempDir(), "back")
			r := decrypt(f.KeyFile, back)
			require.Equal(t, luksimgOK, r.Code, r)
			assert.Equal(t, f.SHA256, interop.FileSHA256(t, back))

			other := filepath.Join(t.TempDir(), "other")
			r = decrypt(wrong, other)
			assert.Equal(t, luksimgWrongPassphrase, r.Code, r)
			assert.NoFileExists(t, other)
		})
	}
}

// TestLuksimgVerifyMismatch checks that verify detects an image of another disk.
func TestLuksimgVerifyMismatch(t *testing.T) {
	t.Parallel()
	mbr, gpt, keyFile := interop.MBRDisk(t), interop.GPTDisk(t), interop.KeyFile(t, dek)
	image := filepath.Join(t.TempDir(), "image")
	encrypt(t, mbr.Path, image, keyFile, shapes[0].args...)
	mustLuksimg(t, "verify", "--key-file", keyFile, mbr.Path, image)
	r := luksimg(t, "verify", "--key-file", keyFile, gpt.Path, image)
	assert.Equal(t, luksimgMismatch, r.Code, r)
}

// TestLuksimgBoots boots a disk in a hypervisor with the key. The disk is encrypted for SoftLayer's
// end-to-end encryption, or as plain LUKS1.
func TestLuksimgBoots(t *testing.T) {
	t.Parallel()
	interop.NeedBoot(t)
	interop.Need(t, "qemu-img")
	d, keyFile, dir := interop.BootableDisk(t), interop.KeyFile(t, dek), t.TempDir()
	for name, args := range map[string][]string{
		"classic-luks": {"--profile", "classic-luks"},
		"luks1":        {"--format", "luks1", "--pbkdf-force-iterations", "1000"},
	} {
		for _, source := range sources[:2] {
			t.Run(name+"-"+source.name, func(t *testing.T) {
				image := filepath.Join(dir, name+"-"+source.name)
				encrypt(t, source.make(t, d), image, keyFile, args...)
				checkBoots(t, image, keyFile)
			})
		}
	}
}

// TestLuksimgClassicLayout checks the layout of the profile classic-luks: data at 2 MiB, and a file
// that is 4 MiB longer than the disk, rounded to MiB. The file ends with encrypted zeros.
func TestLuksimgClassicLayout(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	const mib = 1 << 20
	d, keyFile := interop.WholeDisk(t), interop.KeyFile(t, dek) // not a multiple of 1 MiB
	var jobs []interop.OpenJob
	for _, source := range sources {
		image := filepath.Join(t.TempDir(), source.name)
		encrypt(t, source.make(t, d), image, keyFile, "--profile", "classic-luks")
		assert.EqualValues(t, (d.Size+4*mib+mib-1)/mib*mib, interop.FileSize(t, image))
		assert.Regexp(t, `Payload offset:\s+4096\n`, interop.LUKSDump(t, image))
		interop.ConvertToLUKS2(t, image)
		jobs = append(jobs, interop.OpenJob{Image: image, KeyFile: keyFile, Type: "luks1", FS: true})
	}
	for i, o := range interop.GuestOpen(t, jobs...) {
		checkOpened(t, o, d, interop.FileSize(t, jobs[i].Image)-2*mib)
	}
}

// TestLuksimgClassicKey checks that luksimg rejects keys whose images would import but never boot. It
// must do so before it writes anything.
func TestLuksimgClassicKey(t *testing.T) {
	t.Parallel()
	d := interop.WholeDisk(t)
	for name, key := range map[string]string{
		"newline":    dek + "\n",
		"short":      dek[:28],
		"not-base64": "this is not base64 text, but it is long enough",
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			r := luksimg(t, "encrypt", "--profile", "classic-luks", "--key-file", interop.KeyFile(t, key), d.Path, image)
			assert.Equal(t, luksimgFailed, r.Code, r)
			assert.NotContains(t, r.Stderr, key[:20])
			assert.NoFileExists(t, image)
		})
	}
}

// TestLuksimgQCOW2 reads compressed and uncompressed qcow2 images of qemu-img. An image that needs
// another file is an error that names the file.
func TestLuksimgQCOW2(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img", "mke2fs", "sfdisk")
	d, keyFile, dir := interop.MBRDisk(t), interop.KeyFile(t, dek), t.TempDir()
	for name, args := range map[string][]string{
		"plain":    nil,
		"zlib":     {"-c"},
		"zstd":     {"-c", "-o", "compression_type=zstd"},
		"clusters": {"-c", "-o", "cluster_size=4096"},
		"extended": {"-o", "extended_l2=on"},
		"v2":       {"-o", "compat=0.10"},
	} {
		t.Run(name, func(t *testing.T) {
			src, image := filepath.Join(dir, name+".qcow2"), filepath.Join(dir, name+".luks")
			interop.Must(t, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), d.Path, src)...)
			encrypt(t, src, image, keyFile, shapes[0].args...)
			mustLuksimg(t, "verify", "--key-file", keyFile, d.Path, image)
			checkPlainExactly(t, interop.QEMUDecrypt(t, image, keyFile), d)
			assert.Regexp(t, `format: +qcow2`, luksimg(t, "inspect", src).Stdout)
		})
	}
	overlay := filepath.Join(dir, "overlay.qcow2")
	interop.Must(t, "qemu-img", "create", "-f", "qcow2", "-b", d.Path, "-F", "raw", overlay)
	image := filepath.Join(dir, "overlay.luks")
	r := luksimg(t, "encrypt", "--key-file", keyFile, overlay, image)
	assert.Equal(t, luksimgFailed, r.Code, r)
	assert.Contains(t, r.Stderr, d.Path)
	assert.Contains(t, r.Stderr, "hint: --allow-backing")
	assert.NoFileExists(t, image)
}
