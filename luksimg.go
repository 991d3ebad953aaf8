// Package luksimg encrypts disk images of virtual machines, and decrypts,
// verifies and inspects what it and others made, without root, cryptsetup or qemu.
//
// Start with [OpenImage], which finds out what format an image has, and [Encrypt].
// To get at the plaintext again, open the image with its key, and give it to [Decrypt] or
// [Verify].
//
// The formats have packages of their own, which can be used without this one:
// luks, vhd, qcow, image for raw files, and xts for the cipher. Nothing here prints,
// opens a file by name, reads the environment or uses the network.
package luksimg

import (
	"errors"

	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/internal/parallel"
)

// Errors that a caller can act on; others are those of the packages for the
// formats. Match with [errors.Is].
var (
	// ErrEncrypted means that the image is encrypted already. To see inside, open it with
	// its key.
	ErrEncrypted = errors.New("the image is already encrypted")

	// ErrDetached means that the file is a LUKS header whose data are in another file.
	ErrDetached = errors.New("this is a detached header, without the data")

	// ErrUnsupportedFormat means that the image has a format that is known by name only.
	ErrUnsupportedFormat = errors.New("unsupported image format")

	// ErrKey means that the key does not follow the rule of the profile.
	ErrKey = errors.New("the key does not fit the profile")

	// ErrProfile means that the cloud does not take an image like this.
	ErrProfile = errors.New("not what the cloud takes")

	// ErrBlueprint means that a [Blueprint] is not right, or not of this disk.
	ErrBlueprint = errors.New("malformed blueprint of an image")

	// ErrMismatch is what every [MismatchError] is.
	ErrMismatch = errors.New("the images differ")
)

// A Format is the container format of an image.
type Format string

// The formats that can be read.
const (
	Raw   Format = "raw"
	VHD   Format = "vhd"
	QCOW2 Format = "qcow2"
	VHDX  Format = "vhdx"
	VMDK  Format = "vmdk"
	VDI   Format = "vdi"
	LUKS1 Format = "luks1"
	LUKS2 Format = "luks2"
)

// RunOptions say how a long job is run. The zero value is right.
type RunOptions struct {
	// Jobs is the number of workers; zero is one for each CPU. From file to file, a process
	// that does nothing else is faster with a GOMAXPROCS of one more than Jobs: the scheduler
	// then leaves alone the workers that are in a system call.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of plaintext done
	// since the last call, from several goroutines at a time. It must not block.
	Progress func(n int64)
}

// workers are those that the options say.
func (o RunOptions) workers() engine.Workers {
	return engine.Workers{Count: parallel.Workers(o.Jobs), Done: parallel.Progress(o.Progress)}
}
