package interop

import (
	"path/filepath"
	"strconv"
	"testing"
)

// Image is an encrypted disk with its expected content.
type Image struct {
	Name       string
	Path       string
	Header     string // file with the detached header, "" if the header is in Path
	KeyFile    string
	Version    int // 1 or 2
	SectorSize int
	Plain      Disk
	Size       int64  // of the decrypted device: Plain and the zeros behind it
	SHA256     string // of the decrypted device
}

// Type returns "luks1" or "luks2".
func (f Image) Type() string {
	if f.Version == 1 {
		return "luks1"
	}
	return "luks2"
}

// QEMUName is the name of the image made by qemu-img.
const QEMUName = "qemu-luks1"

// QEMUImage returns a LUKS1 image of the disk, made by qemu-img.
func QEMUImage(t testing.TB, d Disk) Image {
	t.Helper()
	f := Image{Name: QEMUName, Plain: d, Version: 1, SectorSize: sectorSize, Size: d.Size,
		KeyFile: KeyFile(t, "a passphrase for QEMU")}
	f.Path = QEMUEncrypt(t, d, f.KeyFile)
	f.SHA256 = d.SHA256(t, f.Size)
	return f
}

// cryptsetupImages are the images that [CryptsetupImages] makes.
var cryptsetupImages = []struct {
	name     string
	version  int
	sector   int
	detached bool
	format   []string // arguments of luksFormat, without type and sector size
	post     []string
}{
	{name: "luks1", version: 1, sector: 512, format: []string{"--pbkdf-force-iterations", "1000"}},
	{name: "luks1-128-sha512", version: 1, sector: 512,
		format: []string{"--key-size", "256", "--hash", "sha512", "--pbkdf-force-iterations", "1000"}},
	{name: "luks2-512-pbkdf2", version: 2, sector: 512, format: pbkdf2},
	{name: "luks2-512-argon2id", version: 2, sector: 512, format: argon2id},
	{name: "luks2-4096-pbkdf2", version: 2, sector: 4096, format: pbkdf2},
	{name: "luks2-4096-argon2id", version: 2, sector: 4096, format: argon2id},
	{name: "luks2-second-slot", version: 2, sector: 512, format: pbkdf2, post: []string{
		// Move the passphrase to slot 1, and put another one into slot 0.
		`cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 1 --key-file "$key" "$dev" "$key"`,
		`cryptsetup luksKillSlot -q --key-file "$key" "$dev" 0`,
		`printf other >/tmp/other`,
		`cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 0 --key-file "$key" "$dev" /tmp/other`,
	}},
	{name: "luks2-detached", version: 2, sector: 512, detached: true, format: pbkdf2},
}

// The key derivation is cheap, because these images do not test it.
var (
	pbkdf2   = []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	argon2id = []string{"--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-parallel", "2", "--pbkdf-force-iterations", "4"}
)

// CryptsetupImages makes LUKS1 and LUKS2 images in several shapes with cryptsetup and dm-crypt, in one
// guest. Images with 512-byte sectors hold the disk small, those with larger sectors the disk large.
// Their passphrase is not text, and its last byte is a newline.
func CryptsetupImages(t testing.TB, small, large Disk) []Image {
	t.Helper()
	dir := t.TempDir()
	keyFile := KeyFile(t, "not text: \x00\xff\xfe\n")
	var images []Image
	var jobs []MakeJob
	for _, c := range cryptsetupImages {
		f := Image{Name: "cryptsetup-" + c.name, Path: filepath.Join(dir, c.name), KeyFile: keyFile,
			Version: c.version, SectorSize: c.sector, Plain: small}
		if c.sector > sectorSize {
			f.Plain = large
		}
		f.Size = roundUp(f.Plain.Size, int64(c.sector))
		f.SHA256 = f.Plain.SHA256(t, f.Size)
		offset := int64(2 * mib)
		format := append([]string{"--type", f.Type()}, c.format...)
		if c.version == 2 {
			offset = 16 * mib
			format = append(format, "--sector-size", strconv.Itoa(c.sector))
		}
		if c.detached {
			f.Header, offset = f.Path+".header", 0
		}
		images = append(images, f)
		jobs = append(jobs, MakeJob{Out: f.Path, Size: offset + f.Size, KeyFile: keyFile, Plain: f.Plain.Path,
			Header: f.Header, Format: format, Post: c.post})
	}
	for i, m := range GuestMake(t, jobs...) {
		f := images[i]
		if m.Status != 0 || m.Size != f.Size || m.SHA256 != f.SHA256 {
			t.Fatalf("cryptsetup made %s as %+v, want size %d and sha256 %s", f.Name, m, f.Size, f.SHA256)
		}
	}
	return images
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
