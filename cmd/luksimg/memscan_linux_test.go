package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/fsys"
	"github.com/luksimg/luksimg/internal/memscan"
	"github.com/luksimg/luksimg/internal/output"
)

// A secretFile is a key file that was written without a copy of the key in memory.
type secretFile struct {
	name   string
	needle memscan.Needle
}

// newSecretFile makes a key file of n random bytes, or if text is set of n base64 characters.
func newSecretFile(t *testing.T, name string, n int, text bool) secretFile {
	t.Helper()
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	if _, err := unix.Getrandom(page[:n], 0); err != nil {
		t.Fatal(err)
	}
	if text {
		base64.StdEncoding.Encode(page[2048:], page[:n])
		copy(page, page[2048:][:n])
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.Write(int(f.Fd()), page[:n]); err != nil {
		t.Fatal(err)
	}
	return secretFile{name, memscan.Mask(page[:n])}
}

// needleOf returns the first line of a file, without a copy of it in memory.
func needleOf(t *testing.T, name string) memscan.Needle {
	t.Helper()
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := unix.Read(int(f.Fd()), page)
	if err != nil || n == 0 {
		t.Fatalf("%s: %d bytes, %v", name, n, err)
	}
	if page[n-1] == '\n' {
		n--
	}
	return memscan.Mask(page[:n])
}

// scanning is the system's filesystem. It scans the memory at the first write to a new file.
type scanning struct {
	fsys.FS
	scan func()
}

func (s *scanning) OpenFile(name string, flag int, perm os.FileMode) (fsys.File, error) {
	f, err := s.FS.OpenFile(name, flag, perm)
	if err != nil || flag&os.O_CREATE == 0 {
		return f, err
	}
	return &scannedFile{f, s}, nil
}

func (s *scanning) TryLock(f fsys.File) (bool, error) { return s.FS.TryLock(unscanned(f)) }

func (s *scanning) IsNamed(f fsys.File, name string) bool { return s.FS.IsNamed(unscanned(f), name) }

func unscanned(f fsys.File) fsys.File {
	if s, ok := f.(*scannedFile); ok {
		return s.File
	}
	return f
}

type scannedFile struct {
	fsys.File
	s *scanning
}

func (f *scannedFile) WriteAt(p []byte, off int64) (int, error) {
	f.s.scan()
	return f.File.WriteAt(p, off)
}

func TestScanFindsCopies(t *testing.T) {
	for _, n := range []int{8, 20, 64, 200} {
		s := newSecretFile(t, filepath.Join(t.TempDir(), "key"), n, true)
		planted := make([]byte, n)
		s.needle.Reveal(planted)
		if got, err := memscan.Count(s.needle); err != nil || got[0] == 0 {
			t.Errorf("%d bytes: %v, %v: an existing copy was not found", n, got, err)
		}
		runtime.KeepAlive(planted)
		clear(planted)
	}
}

// TestNoCopies searches the memory for the passphrase and the volume key, at the first write of data and after the
// command. During the write each may be only in its buffer. Afterwards it may be nowhere.
func TestNoCopies(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	noise(t, disk, 1<<20)
	fast := []string{"--pbkdf-force-iterations", "1000"}
	for _, c := range []struct {
		name     string
		args     []string
		lengths  []int
		noVolume bool // the passphrase is the key of the data
		argon2   bool // x/crypto keeps its input
	}{
		{name: "LUKS1", args: append([]string{"--format", "luks1"}, fast...), lengths: []int{8, 20, 64, 200}},
		{name: "LUKS2", args: append([]string{"--pbkdf", "pbkdf2"}, fast...), lengths: []int{8, 20, 64, 200}},
		{name: "LUKS2, Argon2id", args: []string{"--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "64", "--pbkdf-parallel", "1"}, lengths: []int{20, 200}, argon2: true},
		{name: "qcow2", args: append([]string{"--format", "qcow2"}, fast...), lengths: []int{8, 20, 64, 200}},
		{name: "VHD", args: []string{"--format", "vhd"}, lengths: []int{32, 64}, noVolume: true},
	} {
		for _, n := range c.lengths {
			t.Run(fmt.Sprintf("%s, %d bytes", c.name, n), func(t *testing.T) {
				s := newScanner(t)
				dir := t.TempDir()
				key := newSecretFile(t, filepath.Join(dir, "key"), n, !c.noVolume)
				other := newSecretFile(t, filepath.Join(dir, "other"), n, !c.noVolume)
				volume := newSecretFile(t, filepath.Join(dir, "volume"), 64, false)
				secrets := []memscan.Needle{key.needle, other.needle, volume.needle}
				if c.argon2 {
					secrets = secrets[2:]
				}
				image, back := filepath.Join(dir, "image"), filepath.Join(dir, "back")
				encrypt := slices.Concat([]string{"encrypt", "-q", "--key-file", key.name}, c.args)
				if !c.noVolume && c.name != "qcow2" {
					encrypt = append(encrypt, "--volume-key-file", volume.name)
				}
				s.run(secrets, append(encrypt, disk, image)...)
				s.run(secrets, "decrypt", "-q", "--key-file", key.name, image, back)
				if c.noVolume || c.name == "qcow2" {
					return
				}
				s.run(secrets, slices.Concat([]string{"key", "change", "-q", "--key-file", key.name, "--new-key-file", other.name}, kdf(c.args), []string{image})...)
				s.run(secrets, "inspect", "--json", image)
				if n == 64 { // the passphrase is their text
					coded := filepath.Join(dir, "coded")
					s.run(secrets, slices.Concat([]string{"encrypt", "-q", "--key-file", key.name, "--passphrase-encoding", "hex"}, c.args, []string{disk, coded})...)
					s.run(secrets, "key", "test", "-q", "--key-file", key.name, "--passphrase-encoding", "hex", coded)
				}
			})
		}
	}
	for _, c := range []struct {
		profile string
		n       int
	}{{"classic-luks", 44}, {"classic-luks", 200}, {"classic-vhd", 64}, {"vpc-qcow2", 20}, {"", 8}, {"", 200}} {
		t.Run(fmt.Sprintf("wrap, %q, %d bytes", c.profile, c.n), func(t *testing.T) {
			s := newScanner(t)
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			key := newSecretFile(t, at("key"), c.n, c.profile != "classic-vhd")
			secrets := []memscan.Needle{key.needle}
			kms := "local:" + at("root")
			newSecretFile(t, at("root"), 32, false) // crypto/aes cannot wipe it
			wrap := []string{"wrap", "-q", "--kms", kms, "--key-file", key.name, "--envelope", at("envelope")}
			if c.profile != "" {
				wrap = append(wrap, "--profile", c.profile)
			}
			s.run(secrets, wrap...)
			s.run(secrets, "unwrap", "-q", "--kms", kms, "--envelope", at("envelope"), at("back"))
			if c.profile != "" {
				return
			}
			made := []string{"encrypt", "-q", "--kms", kms, "--key-file", key.name, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", disk, at("image")}
			s.run(secrets, made...)
			s.run(secrets, "decrypt", "-q", "--kms", kms, at("image"), at("plain"))
			s.run(secrets, "wrap", "-q", "--kms", kms, "--key-file", key.name, "--token", at("image"))
			s.run(secrets, "unwrap", "-q", "--kms", kms, "--image", at("image"), at("back2"))
			s.run(secrets, "key", "test", "-q", "--kms", kms, at("image"))
		})
	}
}

// kdf returns args without the format flags.
func kdf(args []string) []string {
	if args[0] == "--format" {
		return args[2:]
	}
	return args
}

type scanner struct {
	t *testing.T
}

func newScanner(t *testing.T) *scanner { return &scanner{t: t} }

// run runs the command and searches the memory for the secrets.
func (s *scanner) run(secrets []memscan.Needle, args ...string) {
	s.t.Helper()
	looked := false
	during := func() {
		if looked {
			return
		}
		looked = true
		if found, err := memscan.Count(secrets...); err != nil || slices.Max(found) > 1 {
			s.t.Errorf("while %q writes: %v, %v", args[0], found, err)
		}
	}
	restore := output.Use(&scanning{fsys.OS, during})
	code, out := runIn(s.t.Context(), args...)
	restore()
	if code != exit.Done {
		s.t.Fatal(out)
	}
	if found, err := memscan.Count(secrets...); err != nil || slices.Max(found) > 0 {
		s.t.Errorf("after %q: %v, %v", args, found, err)
	}
}
