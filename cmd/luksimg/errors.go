package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"

	"github.com/luksimg/luksimg/internal/rest"
)

// Exit codes. Scripts rely on them. 2 belongs to the Go runtime.
const (
	exitDone       = 0
	exitFailure    = 1
	exitMismatch   = 3
	exitRefused    = 4 // by a service: credentials, permission, or the state of what was asked for
	exitResumable  = 5 // interrupted, and the same command goes on where it stopped
	exitPassphrase = 12
	exitCancelled  = 130
)

func exitCode(err error) int {
	switch {
	case goesOn(err):
		return exitResumable
	case errors.Is(err, context.Canceled):
		return exitCancelled
	case errors.Is(err, luks.ErrPassphrase), errors.Is(err, luks.ErrVolumeKey), errors.Is(err, vhd.ErrKey):
		return exitPassphrase
	case rest.Refused(err):
		return exitRefused
	case errors.Is(err, luksimg.ErrMismatch):
		return exitMismatch
	}
	return exitFailure
}

// A resumableError ended a job that goes on where it stopped when the same command is
// given again.
type resumableError struct{ error }

func (e *resumableError) Unwrap() error { return e.error }

// goesOn tells whether the job goes on when the same command is given again.
func goesOn(err error) bool {
	return errors.As(err, new(*resumableError)) || errors.As(err, new(*deploy.InterruptedError))
}

// message is what is wrong, for a person.
func message(err error) string {
	if goesOn(err) && errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	return err.Error()
}

// messages are what is wrong, one for each of several errors that were joined.
func messages(err error) []string {
	text := message(err)
	for text == err.Error() {
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			var each []string
			for _, e := range all.Unwrap() {
				each = append(each, messages(e)...)
			}
			if strings.Join(each, "\n") == text {
				return each
			}
		}
		if err = errors.Unwrap(err); err == nil {
			break
		}
	}
	return []string{text}
}

// withHint returns err with a word on what to do.
func withHint(err error, hint string) error { return rest.WithHint(err, hint) }

// hintKept gives the hint if err is about what is there under the name that was asked for, and
// is never replaced.
func hintKept(err error, hint string) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, output.ErrNotRegular) {
		return withHint(err, hint)
	}
	return err
}

// hints are for errors wherever they come from. The first that fits is given.
var hints = []struct {
	target error
	hint   string
}{
	{luks.ErrPassphrase, "with --key-file every byte counts, a final newline too; --passphrase-file leaves one final newline off"},
	{vhd.ErrKey, "the key of an encrypted VHD is its 32 or 64 bytes, not their base64 text"},
	{luksimg.ErrMismatch, "encrypt the source again; if it is in use, stop what writes to it first"},
	{luksimg.ErrEncrypted, "decrypt it first: luksimg decrypt SRC DST"},
	{luksimg.ErrDetached, "name the file with the data, and this one with --header"},
	{errChanged, "stop what writes to it, and try again"},
	{luksimg.ErrUnsupportedFormat, "convert it to raw, qcow2 or VHD first"},
	{luksimg.ErrAmbiguous, "--source-format says which format is meant; if the origin of the file is not known, do not trust it"},
	{luks.ErrNotLUKS, "luksimg inspect FILE tells what it is"},
	{luks.ErrFormat, "the header is damaged; restore it from a backup, or get the file again"},
	{luks.ErrUnsupported, "cryptsetup may open this image"},
	{luks.ErrLastSlot, "without a key slot only the volume key, or a backup of the header, opens the image; --force removes it all the same"},
	{luks.ErrNoSlot, "luksimg key list FILE shows the key slots"},
	{luks.ErrTruncated, "get the file again; --allow-truncated reads it up to the last whole sector"},
	{luks.ErrAmbiguous, "luksimg header repair --overwrite-signature FILE makes it a LUKS image again; what is there now is lost"},
	{luks.ErrDataOffset, "it is the backup of another image, or of this one before it was made anew"},
	{luks.ErrBackup, "if it is the right one all the same, --force restores it"},
	{luks.ErrChanged, "make sure that no other program changes the image, and try again"},
	{luks.ErrLimit, "if you trust the image, --kdf-memory-limit and --kdf-work-limit allow more"},
	{luks.ErrMemory, "free memory, raise the limit, or open it on a machine with more; encrypt and key convert take --pbkdf-memory"},
	{image.ErrUnsupported, "convert it to a disk that stands alone with the tool that made it"},
	{image.ErrFormat, "the file is damaged or was cut off: get it again, and compare its checksum"},
	{luksimg.ErrKey, "encrypt --generate-key FILE makes a key that fits; --passphrase-file leaves a final newline off"},
	{wrap.ErrKey, "--profile says what the cloud makes of the key: classic-luks wants base64 text of 32 to 512 characters without a newline, as keygen writes it"},
	{wrap.ErrEnvelope, "luksimg wrap --envelope FILE writes one"},
	{wrap.ErrWDEK, "the wrapped key is damaged, or another root key wrapped it: the envelope names its root key"},
	{wrap.ErrUnavailable, "check the network and the address of the service, and try again"},
	{local.ErrFile, "luksimg keygen --kms local:FILE makes a root key"},
	{crn.ErrCRN, "a root key is named crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY; ibmcloud kp key show prints it"},
	{cos.ErrURI, "an object is named cos://REGION/BUCKET/OBJECT"},
	{cos.ErrBucketRegion, "images are imported from a regional bucket, in the region of the root key"},
	{cos.ErrChecksum, "try again: what arrived is not what was sent"},
	{softlayer.ErrExists, "give another name with --name, or the note of the run that made it with --note"},
	{softlayer.ErrAmbiguous, "name it by its number or its global identifier"},
	{vpc.ErrExists, "names are unique in VPC: give another one"},
	{term.ErrNoTerminal, "give the key with --key-file, --passphrase-file or --key-fd"},
	{output.ErrNotRegular, "for standard output, a pipe or a device write to -, and redirect that: luksimg ... - >FILE"},
	{output.ErrNotOurs, "remove it, or work in a folder that only you can write to"},
	{fs.ErrExist, "choose another name, or say --force to replace it"},
	{fs.ErrPermission, "check the permissions of the file and its folder"},
	{syscall.ENOSPC, "luksimg needs room for the whole output beside its final name; free some, or write to another disk"},
}

// needsFile tells whether an image was refused since it needs another file.
func needsFile(err error) bool {
	return errors.As(err, new(*qcow.RefusedError)) || errors.As(err, new(*vhd.RefusedError)) ||
		errors.As(err, new(*vhdx.RefusedError)) || errors.As(err, new(*vmdk.RefusedError))
}

// hint returns what to do about an error, or "".
func hint(err error) string {
	if h := rest.Hint(err); h != "" {
		return h
	}
	if f := new(luksimg.ForeignError); errors.As(err, &f) {
		return foreignHint(f)
	}
	if needsFile(err) {
		return "--allow-backing opens the files that the image names, if they are in its folder; use it for images that you trust"
	}
	if e := new(fs.PathError); errors.As(err, &e) && e.Path == os.Stdout.Name() && errors.Is(err, syscall.ENOSPC) {
		return "there is no room where standard output goes: what was written is not whole"
	}
	for _, h := range hints {
		if errors.Is(err, h.target) {
			return h.hint
		}
	}
	return ""
}
