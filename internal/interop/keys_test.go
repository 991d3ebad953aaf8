//go:build linux

package interop_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// keyring is an image whose key slots luksimg and cryptsetup change in turn, with the passphrases that
// should open it.
type keyring struct {
	t     *testing.T
	disk  interop.Disk
	image string
	typ   string
	good  map[string]bool
	files map[string]string
}

// file returns a key file for a passphrase.
func (k *keyring) file(passphrase string) string {
	if k.files[passphrase] == "" {
		k.files[passphrase] = interop.KeyFile(k.t, "passphrase "+passphrase)
	}
	return k.files[passphrase]
}

// check tests every passphrase with both programs.
func (k *keyring) check(what string) {
	k.t.Helper()
	interop.CheckHeaders(k.t, k.image)
	for p := range k.files {
		ours, theirs := luksimgWrongPassphrase, interop.CryptsetupWrongPassphrase
		if k.good[p] {
			ours, theirs = luksimgOK, interop.CryptsetupOK
		}
		assert.Equal(k.t, ours, luksimg(k.t, "key", "test", "--key-file", k.file(p), k.image).Code, "%s: luksimg, %s", what, p)
		assert.Equal(k.t, theirs, interop.TestPassphrase(k.t, k.image, k.file(p), k.typ), "%s: cryptsetup, %s", what, p)
	}
}

func (k *keyring) luksimg(args ...string) {
	k.t.Helper()
	mustLuksimg(k.t, append(args, k.image)...)
}

// cryptsetup runs cryptsetup on the image. The default lock directory belongs to root.
func (k *keyring) cryptsetup(args ...string) {
	k.t.Helper()
	interop.Must(k.t, "cryptsetup", append([]string{"-q", "--disable-locks"}, args...)...)
}

// TestLuksimgKeys checks that luksimg and cryptsetup understand each other's changes of key slots.
func TestLuksimgKeys(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup", "mke2fs")
	cheap := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	for _, typ := range []string{"luks1", "luks2"} {
		t.Run(typ, func(t *testing.T) {
			k := &keyring{t: t, disk: interop.WholeDisk(t), image: filepath.Join(t.TempDir(), typ), typ: typ,
				good: map[string]bool{"a": true}, files: map[string]string{}}
			encrypt(t, k.disk.Path, k.image, k.file("a"), append([]string{"--format", typ}, cheap...)...)
			k.check("encrypt")

			k.luksimg(append([]string{"key", "add", "--key-file", k.file("a"), "--new-key-file", k.file("b")}, cheap...)...)
			k.good["b"] = true
			k.check("luksimg key add")
			k.cryptsetup(append([]string{"luksAddKey", "--key-file", k.file("b"), k.image, k.file("c")}, cheap...)...)
			k.good["c"] = true
			k.check("cryptsetup luksAddKey")

			k.luksimg(append([]string{"key", "change", "--key-file", k.file("a"), "--new-key-file", k.file("d")}, cheap...)...)
			delete(k.good, "a")
			k.good["d"] = true
			k.check("luksimg key change")
			k.cryptsetup(append([]string{"luksChangeKey", "--key-file", k.file("b"), k.image, k.file("e")}, cheap...)...)
			delete(k.good, "b")
			k.good["e"] = true
			k.check("cryptsetup luksChangeKey")

			if typ == "luks2" {
				k.luksimg("key", "convert", "--key-file", k.file("d"), "--pbkdf", "argon2id", "--pbkdf-memory", "1024", "--pbkdf-parallel", "2")
				k.cryptsetup("luksConvertKey", "--key-file", k.file("c"), "--pbkdf", "argon2i", "--pbkdf-memory", "1024",
					"--pbkdf-force-iterations", "4", k.image)
				k.check("converted to Argon2")
				dump := interop.LUKSDump(t, k.image)
				assert.Regexp(t, `PBKDF: +argon2id`, dump)
				assert.Regexp(t, `PBKDF: +argon2i\n`, dump)
				k.luksimg("key", "convert", "--key-file", k.file("d"), "--pbkdf", "pbkdf2")
				k.check("converted to PBKDF2")
			}

			// Each program restores a backup of the other.
			ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
			mustLuksimg(t, "header", "backup", k.image, ours)
			k.cryptsetup("luksHeaderBackup", "--header-backup-file", theirs, k.image)
			// LUKS1 has space behind its key slots that neither program uses.
			assert.Equal(t, interop.FileSize(t, theirs), interop.FileSize(t, ours))
			assert.Equal(t, interop.FileSHA256(t, theirs), interop.FileSHA256(t, ours))

			k.luksimg("key", "remove", "--key-file", k.file("d"))
			k.cryptsetup("luksRemoveKey", "--key-file", k.file("c"), k.image)
			removed := map[string]bool{"e": true}
			before := k.good
			k.good = removed
			k.check("removed")
			k.cryptsetup("luksHeaderRestore", "--header-backup-file", ours, k.image)
			k.good = before
			k.check("restored by cryptsetup")
			k.luksimg("header", "erase", "--force")
			k.good = nil
			for p := range k.files {
				// No key slot is left, so the status differs from that of a wrong passphrase.
				assert.Equal(t, luksimgFailed, luksimg(t, "key", "test", "--key-file", k.file(p), k.image).Code)
			}
			assert.NotRegexp(t, `ENABLED|luks2\n`, interop.LUKSDump(t, k.image))
			mustLuksimg(t, "header", "restore", k.image, theirs)
			k.good = before
			k.check("restored by luksimg")

			mustLuksimg(t, "verify", "--key-file", k.file("e"), k.disk.Path, k.image)
		})
	}
}

// TestLuksimgKeepsMetadata checks that luksimg shows cryptsetup's tokens, labels and priorities, and
// keeps them when it changes keys.
func TestLuksimgKeepsMetadata(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup", "mke2fs")
	disk, image := interop.WholeDisk(t), filepath.Join(t.TempDir(), "image")
	k := &keyring{t: t, image: image, typ: "luks2", good: map[string]bool{"a": true, "b": true}, files: map[string]string{}}
	encrypt(t, disk.Path, image, k.file("a"), "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
	token := filepath.Join(t.TempDir(), "token.json")
	interop.WriteFile(t, token, []byte(`{"type":"someone's","keyslots":["0"],"note":{"a":[1,2,"<>"]}}`))
	k.cryptsetup("token", "import", "--json-file", token, "--token-id", "3", image)
	k.cryptsetup("config", "--label", "root", "--subsystem", "vm", image)
	k.cryptsetup("config", "--priority", "prefer", "--key-slot", "0", image)

	mustLuksimg(t, "key", "add", "--key-file", k.file("a"), "--new-key-file", k.file("b"), "--pbkdf", "pbkdf2",
		"--pbkdf-force-iterations", "1000", image)
	k.check("key add")
	exported := filepath.Join(t.TempDir(), "exported.json")
	k.cryptsetup("token", "export", "--json-file", exported, "--token-id", "3", image)
	assert.JSONEq(t, readFile(t, token), readFile(t, exported))
	// Each program understands the tokens of the other.
	mustLuksimg(t, "token", "add", "--json-file", token, "--token-id", "5", image)
	k.cryptsetup("token", "export", "--json-file", exported+"5", "--token-id", "5", image)
	assert.JSONEq(t, readFile(t, token), readFile(t, exported+"5"))
	assert.JSONEq(t, readFile(t, token), luksimg(t, "token", "export", "--token-id", "3", image).Stdout)
	mustLuksimg(t, "token", "remove", "--token-id", "5", image)
	interop.CheckHeaders(t, image)
	dump := interop.LUKSDump(t, image)
	assert.NotRegexp(t, `5: someone's`, dump)
	assert.Regexp(t, `Label: +\troot`, dump)
	assert.Regexp(t, `Priority: +preferred`, dump)
	inspect := luksimg(t, "inspect", image).Stdout
	assert.Regexp(t, `label: +root`, inspect)
	assert.Regexp(t, `subsystem: +vm`, inspect)
	assert.Regexp(t, `token 3: +"someone's", key slots \[0\]`, inspect)
	assert.Regexp(t, `key slot 0: .*, preferred`, inspect)
}

// TestLuksimgRepairs checks that cryptsetup accepts a header that luksimg repaired.
func TestLuksimgRepairs(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup", "mke2fs")
	disk, keyFile := interop.WholeDisk(t), interop.KeyFile(t, dek)
	for name, off := range map[string]int64{"primary": 0, "secondary": 16384} {
		image := filepath.Join(t.TempDir(), name)
		encrypt(t, disk.Path, image, keyFile, "--pbkdf", "pbkdf2")
		f, err := os.OpenFile(image, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt(make([]byte, 16384), off)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		mustLuksimg(t, "header", "repair", image)
		interop.CheckHeaders(t, image)
		assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, image, keyFile, "luks2"))
	}
}

// TestLuksimgConverts converts images between LUKS1 and LUKS2 with luksimg. cryptsetup must open them
// and change their keys.
func TestLuksimgConverts(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup", "mke2fs")
	cheap := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	for from, to := range map[string]string{"luks1": "luks2", "luks2": "luks1"} {
		t.Run(from, func(t *testing.T) {
			disk := interop.WholeDisk(t)
			k := &keyring{t: t, image: filepath.Join(t.TempDir(), "image"), typ: from,
				good: map[string]bool{"a": true, "b": true}, files: map[string]string{}}
			encrypt(t, disk.Path, k.image, k.file("a"), append([]string{"--format", from}, cheap...)...)
			k.luksimg(append([]string{"key", "add", "--key-file", k.file("a"), "--new-key-file", k.file("b")}, cheap...)...)
			k.luksimg("header", "convert", "--format", to)
			k.typ = to
			k.check("converted")
			k.cryptsetup(append([]string{"luksAddKey", "--key-file", k.file("b"), k.image, k.file("c")}, cheap...)...)
			k.good["c"] = true
			k.check("luksAddKey")
			k.cryptsetup("luksRemoveKey", "--key-file", k.file("a"), k.image)
			delete(k.good, "a")
			k.check("luksRemoveKey")
			mustLuksimg(t, "verify", "--key-file", k.file("c"), disk.Path, k.image)
			k.luksimg("header", "convert", "--format", from)
			k.typ = from
			k.check("converted back")
			mustLuksimg(t, "verify", "--key-file", k.file("b"), disk.Path, k.image)
		})
	}
}
