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
	changedThere = "the source was replaced while luksimg read it: run the same command again"
	damagedThere = "the source is damaged or incomplete: compare it with its published checksum, by --sha256-file or --source-sha256"
)

// An advice maps an error to a hint. remote is the hint for a source on a server; empty means hint.
type advice struct {
	target       error
	hint, remote string
}

// hints are the hints for errors of all verbs. The first match counts.
var hints = []advice{
	{policy.ErrViolated, "do not open it with a key unless you know who made it; docs/policy.md explains policies", ""},
	{policy.ErrPolicy, "docs/policy.md lists all members; luksimg check --policy cloud --print prints one to start from", ""},
	{luks.ErrNotApproved, "docs/fips.md lists what is approved; GODEBUG=fips140=off leaves FIPS 140-3 mode", ""},
	// The key can be that of a key slot that was left out, so these come before ErrPassphrase.
	{luks.ErrLimit, "if you trust the image, --kdf-memory-limit and --kdf-work-limit allow more", ""},
	{luks.ErrMemory, "free memory, raise the memory limit, or open it on a machine with more memory; luksimg encrypt and luksimg key convert accept a lower --pbkdf-memory", ""},
	{luks.ErrPassphrase, "with --key-file every byte counts, including a final newline; --passphrase-file removes one final newline", ""},
	{vhd.ErrKey, "the key of an encrypted VHD is its 32 or 64 bytes, not their base64 text", ""},
	{luksimg.ErrMismatch, "encrypt the source again; if it is in use, first stop the program that writes to it", ""},
	{luksimg.ErrEncrypted, "decrypt it first: luksimg decrypt SRC DST", ""},
	{luksimg.ErrDetached, "give the data file as the image, and this file with --header", ""},
	{image.ErrChanged, "stop the program that writes to it, and try again", changedThere},
	{luksimg.ErrNoArchive, "leave --member out: luksimg inspect FILE shows the format", ""},
	{luksimg.ErrNoContainer, "leave --oci-image out: luksimg inspect FILE shows the format", ""},
	{luksimg.ErrUnsupportedFormat, "convert it to raw, qcow2 or VHD first", ""},
	{archive.ErrImage, "choose one with --oci-image NAME: a platform such as linux/amd64, a tag or a digest", ""},
	{archive.ErrChoice, "choose one with --member NAME; luksimg inspect FILE lists them", ""},
	{archive.ErrSum, "download the file again", damagedThere},
	{luksimg.ErrNeedsSeeking, "write it to a file first; if it is a raw disk, use --source-format raw", ""},
	{luksimg.ErrFixedVHD, "use --source-format vhd", ""},
	{luksimg.ErrScratch, "choose a folder with more room with --scratch-dir", ""},
	{luksimg.ErrLayers, "unpack the image first", ""},
	{compressed.ErrTooLarge, "if you trust the file, --max-unpacked SIZE allows more", ""},
	{compressed.ErrWindow, "if you trust the file, --max-window SIZE allows more", ""},
	{compressed.ErrCorrupt, "the file is damaged or incomplete: get it again, and compare its checksum", damagedThere},
	{compressed.ErrUnsupported, "first decompress it with the program that compressed it", ""},
	{luksimg.ErrAmbiguous, "choose the format with --source-format; if you do not know where the file comes from, do not trust it", ""},
	{contents.ErrNoPartition, "luksimg inspect FILE lists the partitions", ""},
	{luks.ErrDataOffset, "the backup belongs to another image, or to this one before it was encrypted again", ""},
	{luks.ErrBackup, "if it is the right backup, restore it with --force", ""},
	{qcow.ErrSnapshot, "luksimg inspect FILE lists the snapshots", ""},
	{luks.ErrNotLUKS, "luksimg inspect FILE shows the format; --partition opens LUKS in a partition; --header names a detached header", ""},
	{luks.ErrFormat, "the header is damaged; restore it from a backup, or get the file again", "the header is damaged; --header reads a backup of it"},
	{luks.ErrUnsupported, "try to open it with cryptsetup", ""},
	{luks.ErrLastSlot, "without a key slot only the volume key, or a backup of the header, opens the image; --force removes it anyway", ""},
	{luks.ErrNoSlot, "luksimg key list FILE shows the key slots", ""},
	{luks.ErrTruncated, "get the file again; --allow-truncated reads it up to the last whole sector",
		"the upload was incomplete: upload it again; --allow-truncated reads it up to the last whole sector"},
	{luks.ErrAmbiguous, "luksimg header repair --overwrite-signature FILE makes it a LUKS image again and overwrites the other signature",
		"download it: then luksimg header repair --overwrite-signature FILE makes it a LUKS image again and overwrites the other signature"},
	{luks.ErrChanged, "make sure that no other program changes the image, and try again", ""},
	{image.ErrUnsupported, "convert it to a standalone disk with the tool that made it", ""},
	{image.ErrFormat, "the file is damaged or incomplete: get it again, and compare its checksum", damagedThere},
	{luksimg.ErrKey, "luksimg encrypt --generate-key FILE makes a key of the right length; --passphrase-file removes a final newline", ""},
	{term.ErrNoTerminal, "give the key with --key-file, --passphrase-file or --key-fd", ""},
	{output.ErrFolder, "name a file in it", ""},
	{output.ErrNotRegular, "to write to a pipe or a device, use - as the name and redirect standard output: luksimg ... - >FILE", ""},
	{output.ErrNotOurs, "remove it, or work in a folder that only you can write to", ""},
	{output.ErrNoFolder, "make the folder first, or name another one", ""},
	{fs.ErrExist, "choose another name, or use --force to replace it", ""},
	{fs.ErrPermission, "check the permissions of the file and its folder", ""},
	{syscall.ENOSPC, "luksimg writes the whole output to the folder of its final name; free some space, or write to another disk", ""},
}

// hint returns what to do about an error, or "".
func hint(err error) string {
	h := rest.Hint(err)
	if f := new(luksimg.ForeignError); errors.As(err, &f) && h == f.Hint() {
		return h + "; if it is a raw disk after all, use --source-format raw"
	}
	if h != "" {
		return h
	}
	if errors.As(err, new(*image.RefusedError)) {
		if errors.As(err, new(*elsewhere)) {
			return "download it and the files that it names into one folder; then use --allow-backing if you trust the image"
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
		return "the disk or device behind standard output is full: the output is incomplete"
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

// denied returns the hint for a missing permission, or "" if the error does not say which one.
func denied(err error) string {
	if e := new(net.OpError); errors.As(err, &e) && e.Op == "listen" && strings.HasPrefix(e.Net, "tcp") {
		return "only root can use ports below 1024: choose another port, or 0 for any free one"
	}
	if e := new(fs.PathError); errors.As(err, &e) {
		if fi, err := os.Stat(e.Path); err == nil && fi.IsDir() {
			return "write to a folder where you can create files"
		}
	}
	return ""
}

// fit removes the clauses of a hint whose flags are all in the table and missing from the verb. It keeps
// a clause that names a command, because its flags belong to that command.
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

// tableFlags returns the flags that hints names. The hints are common to all verbs.
var tableFlags = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool)
	for _, a := range hints {
		for _, f := range flagName.FindAllString(a.hint+a.remote, -1) {
			all[f] = true
		}
	}
	return all
})

// Elsewhere marks an error as one of a source on a server: an object, or a file at an address.
func Elsewhere(err error) error { return &elsewhere{err} }

type elsewhere struct{ error }

func (e *elsewhere) Unwrap() error { return e.error }
