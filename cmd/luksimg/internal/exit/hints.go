package exit

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/compressed"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// Hints for sources on a server.
const (
	changedThere = "somebody replaced it there while it was read: run the same command again"
	damagedThere = "it is damaged where it is, or was cut off: compare it with the checksum that was published, by --sha256-file or --source-sha256"
)

// An advice maps an error to a hint. remote, if not empty, is the hint for a source on a server.
type advice struct {
	target       error
	hint, remote string
}

// hints are for errors wherever they come from. The first that fits is given.
var hints = []advice{
	{policy.ErrViolated, "do not open it with a key unless you know who made it; docs/policy.md tells what a policy is", ""},
	{policy.ErrPolicy, "docs/policy.md has all members; luksimg check --policy cloud --print prints one to start from", ""},
	{luks.ErrNotApproved, "docs/fips.md tells what is approved; GODEBUG=fips140=off leaves FIPS 140-3 mode", ""},
	// The key can be that of a key slot that was left out, so these come before ErrPassphrase.
	{luks.ErrLimit, "if you trust the image, --kdf-memory-limit and --kdf-work-limit allow more", ""},
	{luks.ErrMemory, "free memory, raise the limit, or open it on a machine with more; luksimg encrypt and luksimg key convert take --pbkdf-memory", ""},
	{luks.ErrPassphrase, "with --key-file every byte counts, a final newline too; --passphrase-file leaves one final newline off", ""},
	{vhd.ErrKey, "the key of an encrypted VHD is its 32 or 64 bytes, not their base64 text", ""},
	{luksimg.ErrMismatch, "encrypt the source again; if it is in use, stop what writes to it first", ""},
	{luksimg.ErrEncrypted, "decrypt it first: luksimg decrypt SRC DST", ""},
	{luksimg.ErrDetached, "name the file with the data, and this one with --header", ""},
	{image.ErrChanged, "stop what writes to it, and try again", changedThere},
	{luksimg.ErrNoArchive, "leave --member out: luksimg inspect FILE tells what this is", ""},
	{luksimg.ErrNoContainer, "leave --oci-image out: luksimg inspect FILE tells what this is", ""},
	{luksimg.ErrUnsupportedFormat, "convert it to raw, qcow2 or VHD first", ""},
	{archive.ErrImage, "--oci-image NAME says which: its platform, as in linux/amd64, its tag or its digest", ""},
	{archive.ErrChoice, "--member NAME says which; luksimg inspect FILE lists them", ""},
	{archive.ErrSum, "get the file again from where it was published", damagedThere},
	{luksimg.ErrNeedsSeeking, "write it to a file first; if it is a raw disk all the same, say --source-format raw", ""},
	{luksimg.ErrFixedVHD, "say --source-format vhd", ""},
	{luksimg.ErrScratch, "--scratch-dir names a folder with more room", ""},
	{luksimg.ErrLayers, "take the image out of them first", ""},
	{compressed.ErrTooLarge, "if you trust the file, --max-unpacked SIZE allows more", ""},
	{compressed.ErrWindow, "if you trust the file, --max-window SIZE allows more", ""},
	{compressed.ErrCorrupt, "the file is damaged or was cut off: get it again, and compare its checksum", damagedThere},
	{compressed.ErrUnsupported, "decompress it with the program that made it first", ""},
	{luksimg.ErrAmbiguous, "--source-format says which format is meant; if the origin of the file is not known, do not trust it", ""},
	{contents.ErrNoPartition, "luksimg inspect FILE lists the partitions", ""},
	{luks.ErrDataOffset, "it is the backup of another image, or of this one before it was re-created", ""},
	{luks.ErrBackup, "if it is the right one all the same, --force restores it", ""},
	{qcow.ErrSnapshot, "luksimg inspect FILE lists the snapshots", ""},
	{luks.ErrNotLUKS, "luksimg inspect FILE tells what it is; --partition opens LUKS in a partition of it; --header names a detached header", ""},
	{luks.ErrFormat, "the header is damaged; restore it from a backup, or get the file again", "the header is damaged there; a backup of it is read with --header"},
	{luks.ErrUnsupported, "cryptsetup may open this image", ""},
	{luks.ErrLastSlot, "without a key slot only the volume key, or a backup of the header, opens the image; --force removes it all the same", ""},
	{luks.ErrNoSlot, "luksimg key list FILE shows the key slots", ""},
	{luks.ErrTruncated, "get the file again; --allow-truncated reads it up to the last whole sector",
		"it was cut off when it came there: upload it again; --allow-truncated reads it up to the last whole sector"},
	{luks.ErrAmbiguous, "luksimg header repair --overwrite-signature FILE makes it a LUKS image again; what is there now is lost",
		"fetch it, and luksimg header repair --overwrite-signature FILE makes it a LUKS image again; what is there now is lost"},
	{luks.ErrChanged, "make sure that no other program changes the image, and try again", ""},
	{image.ErrUnsupported, "convert it to a disk that stands alone with the tool that made it", ""},
	{image.ErrFormat, "the file is damaged or was cut off: get it again, and compare its checksum", damagedThere},
	{luksimg.ErrKey, "luksimg encrypt --generate-key FILE makes a key that fits; --passphrase-file leaves a final newline off", ""},
	{term.ErrNoTerminal, "give the key with --key-file, --passphrase-file or --key-fd", ""},
	{output.ErrFolder, "name a file in it", ""},
	{output.ErrNotRegular, "for standard output, a pipe or a device write to -, and redirect that: luksimg ... - >FILE", ""},
	{output.ErrNotOurs, "remove it, or work in a folder that only you can write to", ""},
	{output.ErrNoFolder, "make the folder first, or name another one", ""},
	{fs.ErrExist, "choose another name, or say --force to replace it", ""},
	{fs.ErrPermission, "check the permissions of the file and its folder", ""},
	{syscall.ENOSPC, "luksimg needs room for the whole output beside its final name; free some, or write to another disk", ""},
}

// hint returns what to do about an error, or "".
func hint(err error) string {
	h := rest.Hint(err)
	if f := new(luksimg.ForeignError); errors.As(err, &f) && h == f.Hint() {
		return h + "; if it is a raw disk all the same, say --source-format raw"
	}
	if h != "" {
		return h
	}
	if errors.As(err, new(*image.RefusedError)) {
		if errors.As(err, new(*elsewhere)) {
			return "fetch it and the files that it names into one folder, and say --allow-backing if you trust the image"
		}
		return "--allow-backing opens the files that the image names, if they are in its folder; use it for images that you trust"
	}
	if errors.Is(err, fs.ErrPermission) {
		if h := denied(err); h != "" {
			return h
		}
	}
	if e := new(fs.PathError); errors.As(err, &e) && errors.Is(err, output.ErrNoFolder) && address.MatchString(e.Path) {
		return "an output is a file, - for standard output, or an object: cos://REGION/BUCKET/OBJECT"
	}
	if e := new(fs.PathError); errors.As(err, &e) && e.Path == os.Stdout.Name() && errors.Is(err, syscall.ENOSPC) {
		return "there is no room where standard output goes: what was written is not whole"
	}
	for _, h := range hints {
		if !errors.Is(err, h.target) {
			continue
		}
		if h.remote != "" && errors.As(err, new(*elsewhere)) {
			return h.remote
		}
		return h.hint
	}
	return ""
}

// address matches the folder of a name that looks like an address, such as s3://BUCKET/OBJECT.
var address = regexp.MustCompile(`^[a-z][a-z0-9+.-]+:/`)

// denied returns the hint for a permission that is missing, where the error tells which; or "".
func denied(err error) string {
	if e := new(net.OpError); errors.As(err, &e) && e.Op == "listen" && strings.HasPrefix(e.Net, "tcp") {
		return "ports below 1024 are for the administrator: choose another one, or 0 for any that is free"
	}
	if e := new(fs.PathError); errors.As(err, &e) {
		if fi, err := os.Stat(e.Path); err == nil && fi.IsDir() {
			return "write to a folder where you may make files"
		}
	}
	return ""
}

// fit returns a hint without the clauses that name only flags of the table that the verb lacks. A clause
// with a command in it is kept: the flags are those of the command.
func fit(hint string, has func(flag string) bool) string {
	if has == nil {
		return hint
	}
	return strings.Join(slices.DeleteFunc(strings.Split(hint, "; "), func(clause string) bool {
		if strings.Contains(clause, "luksimg ") {
			return false
		}
		flags := flagName.FindAllString(clause, -1)
		return len(flags) > 0 && !slices.ContainsFunc(flags, func(f string) bool { return !tableFlags()[f] || has(f[2:]) })
	}), "; ")
}

// flagName matches the name of a flag in a hint.
var flagName = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// tableFlags are the flags in the hints of the table, which are for all verbs.
var tableFlags = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool)
	for _, a := range hints {
		for _, f := range flagName.FindAllString(a.hint+a.remote, -1) {
			all[f] = true
		}
	}
	return all
})

// Elsewhere says of an error that it is about a source that is elsewhere: an object, or what is at an
// address.
func Elsewhere(err error) error { return &elsewhere{err} }

type elsewhere struct{ error }

func (e *elsewhere) Unwrap() error { return e.error }
