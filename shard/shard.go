// Package shard lets many machines make one image. Each machine makes a part of it, a shard.
//
// [Plan] reads the metadata of the disk and returns a [Job]: everything that a machine needs to make
// any part of the image, except the key. Each machine then makes one shard with [Job.Run], in any order.
// A shard may run twice; Run skips parts that exist. [Job.Finish] checks that all parts exist and gives
// the image its name. [Job.Abort] removes everything.
//
// The package is not a scheduler. Slurm, Kubernetes or another engine decides which machine makes which
// shard.
//
// The image is made in a [Target]: a folder that all machines see, or an object in a store that accepts
// parts from several clients. Each shard records its parts beside the image, so machines need not know
// of each other.
package shard

import (
	"context"
	"io"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
)

// Errors that a caller can act on.
var (
	// ErrJob means that a job is malformed or has another version.
	ErrJob = advice.New("malformed job", "luksimg shard plan writes one")

	// ErrSource means that the source differs from the one that was planned.
	ErrSource = advice.New("the source is not the one that was planned", "abort the job and plan it again: the parts so far are of the old source")

	// ErrGone means that nobody makes the image any more: the job was aborted, or another one replaced it.
	ErrGone = advice.New("the image is not being made any more", "if another process finishes the job just now, try again in a minute; if the job was given up, plan it anew")

	// ErrReplaced means that a part differs from what its shard recorded.
	ErrReplaced = advice.New("a part is not the one that was made", "run the shard again that made it, and then finish the job again")

	// ErrStale means that another process stored a record since this one read it. [Job.Run] reads it again.
	ErrStale = advice.New("another process makes the same shard, and stores its record all the time", "end one of the two")

	// ErrRecord means that the record of a shard cannot be read.
	ErrRecord = advice.New("a record is damaged", "run its shard again, and then finish the job again")
)

// A Target is where an image is made.
type Target interface {
	// Begin makes room for an image of size bytes, in parts of partSize bytes. The last part may be
	// shorter.
	Begin(ctx context.Context, size, partSize int64) (Upload, error)
	// Resume returns the upload that Begin made, by its ID. If it is gone the error matches
	// [fs.ErrNotExist].
	Resume(ctx context.Context, id string, size, partSize int64) (Upload, error)
	// Abort removes what Begin made, in whatever state it is. It is no error if nothing is there.
	Abort(ctx context.Context, id string) error
	// Open opens the finished image. If there is none the error matches [fs.ErrNotExist].
	Open(ctx context.Context) (Image, error)
	// Remove removes the finished image.
	Remove(ctx context.Context) error

	// Save stores a small file beside the image, atomically. old is its content as Load returned it. If Save
	// finds another content, because another process has stored one meanwhile, the error matches [ErrStale].
	// Load returns the content, or nil if there is none; the error matches [ErrRecord] if something else is
	// there. Clear removes such files, and the folder that they were in.
	Save(ctx context.Context, name string, b, old []byte) error
	Load(ctx context.Context, name string) ([]byte, error)
	Clear(ctx context.Context, names []string) error
}

// A patient target may show a finished image only some time after its upload has ended.
type patient interface {
	// Patience returns how long to wait for the image.
	Patience() time.Duration
}

// An Image is a finished image.
type Image interface {
	image.Source
	io.Closer
}

// An Upload is an image that is being made. It is safe for concurrent use.
type Upload interface {
	// ID returns the name that Resume takes.
	ID() string
	// Has reports whether a part exists as recorded. missing means that no part has its number. Has reads
	// the part, unless the target knows the sums of parts or this process stored it.
	Has(ctx context.Context, p Part) (same, missing bool, err error)
	// Lists reports whether Has needs to read no part.
	Lists() bool
	// Send stores a part durably. If the part exists already, found is true. known is the record of the
	// part with this number, if there is one. Send returns what to record beside the sums.
	Send(ctx context.Context, number int, b []byte, known Part) (p Part, found bool, err error)
	// Refresh reads the list of parts again.
	Refresh(ctx context.Context) error
	// Complete assembles the image from its parts and gives it its name.
	Complete(ctx context.Context, parts []Part) error
	io.Closer
}

// A Part is what is recorded of a part of the image.
type Part struct {
	Number int    `json:"number"` // from 1 on
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // in hexadecimal
	Start  string `json:"start"`  // SHA-256 of its first 64 KiB, or of all if it is shorter

	// What a store has to know of it.
	ETag   string `json:"etag,omitempty"`
	MD5    string `json:"md5,omitempty"`
	Proved bool   `json:"proved,omitempty"`
}
