// Package luksimg encrypts disk images of virtual machines. It also decrypts, verifies and inspects
// images, including those made by other programs. It needs neither root nor cryptsetup nor qemu.
//
// Start with [OpenImage], which detects the format of an image, and [Encrypt]. To recover the
// plaintext, open the image with its key and pass it to [Decrypt] or [Verify].
//
// Each format has a package that works without this one: luks, vhd, vhdx, vmdk, vdi, qcow, and image
// for raw files. Package xts has the cipher. This package does not print, open files by name, read the
// environment or use the network.
package luksimg

import (
	"errors"

	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/internal/parallel"
)

// Errors that a caller can act on. Match them with [errors.Is]. Functions also return the errors of the
// format packages.
var (
	// ErrEncrypted means that the image is encrypted already. To read its contents, open it with its
	// key.
	ErrEncrypted = errors.New("the image is already encrypted")

	// ErrDetached means that the file is a detached LUKS header: the data are in another file.
	ErrDetached = errors.New("this is a detached header, without the data")

	// ErrUnsupportedFormat means that the format is not supported, at all or for this operation.
	ErrUnsupportedFormat = errors.New("unsupported image format")

	// ErrKey means that the key breaks a rule of the profile.
	ErrKey = errors.New("the key does not fit the profile")

	// ErrProfile means that the cloud of the profile does not accept the image or its file name.
	ErrProfile = errors.New("the cloud does not accept this image")

	// ErrBlueprint means that a [Blueprint] is malformed or belongs to another disk.
	ErrBlueprint = errors.New("malformed blueprint of an image")

	// ErrMismatch matches every [MismatchError].
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

// RunOptions control how a long job runs. The zero value is a good default.
type RunOptions struct {
	// Jobs is the number of workers; zero means one for each CPU. File-to-file jobs in a process that
	// does nothing else run faster with GOMAXPROCS set to Jobs+1. The scheduler then does not disturb
	// workers that are in a system call.
	Jobs int

	// Progress, if not nil, is called with the number of plaintext bytes done since the last call. It
	// is called from several goroutines at once and must not block.
	Progress func(n int64)
}

// workers returns the engine's form of the options.
func (o RunOptions) workers() engine.Workers {
	return engine.Workers{Count: parallel.Workers(o.Jobs), Done: parallel.Progress(o.Progress)}
}
