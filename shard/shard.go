// Package shard lets many machines make one image. Each machine makes a part of it, a shard.
//
// [Plan] reads the metadata of the disk and returns a [Job]: everything that a machine needs to make any shard,
// except the key. Each machine then makes a shard with [Job.Run], in any order. A shard can run more than once: Run
// skips parts that exist. [Job.Finish] checks that all parts exist and gives the image its name. [Job.Abort] removes
// the unfinished image.
//
// The package is not a scheduler. Slurm, Kubernetes or another engine decides which machine makes which shard.
//
// A [Target] holds the image: a folder that all machines share, or an object in a store that accepts parts from
// several clients. Each shard records its parts beside the image, so the machines need not communicate.
package shard

import (
	"context"
	"io"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
)

// Errors that a caller can act on. Match them with errors.Is.
var (
	// ErrJob means that a job is malformed or has another version.
	ErrJob = advice.New("malformed job", "luksimg shard plan writes one")

	// ErrSource means that the source has changed since the job was planned.
	ErrSource = advice.New("the source has changed since the job was planned", "abort the job and plan it again: the existing parts come from the old source")

	// ErrGone means that the unfinished image no longer exists: the job was aborted, or another process finished it.
	ErrGone = advice.New("the unfinished image no longer exists", "if another process is finishing the job, try again in a minute; if the job was aborted, plan it again")

	// ErrReplaced means that a part differs from what its shard recorded.
	ErrReplaced = advice.New("a part differs from what its shard recorded", "run the shard that made it again, and then finish the job again")

	// ErrStale means that another process has stored a record after this one read it. [Job.Run] reads it again.
	ErrStale = advice.New("another process is making the same shard, and keeps replacing its record", "stop one of the two")

	// ErrRecord means that the record of a shard is malformed.
	ErrRecord = advice.New("a record is damaged", "run its shard again, and then finish the job again")
)

// A Target is a place where an image is made. Its methods are safe for concurrent use by several processes.
type Target interface {
	// Begin makes room for an image of size bytes, in parts of partSize bytes. The last part can be shorter.
	Begin(ctx context.Context, size, partSize int64) (Upload, error)
	// Resume returns the upload with an ID, as Begin made it. If it no longer exists, the error matches
	// [fs.ErrNotExist].
	Resume(ctx context.Context, id string, size, partSize int64) (Upload, error)
	// Abort removes what Begin made, in any state. It is not an error if nothing exists.
	Abort(ctx context.Context, id string) error
	// Open opens the finished image. If there is none, the error matches [fs.ErrNotExist].
	Open(ctx context.Context) (Image, error)
	// Remove removes the finished image.
	Remove(ctx context.Context) error

	// Save stores a small file beside the image, atomically. old is its content as Load returned it. If another
	// process has stored other content since, the error matches [ErrStale]. Load returns the content, or nil if the
	// file does not exist. If the name is not that of a file, its error matches [ErrRecord]. Clear removes such
	// files and their folder.
	Save(ctx context.Context, name string, b, old []byte) error
	Load(ctx context.Context, name string) ([]byte, error)
	Clear(ctx context.Context, names []string) error
}

// A patient target can show a finished image some time after its upload has ended.
type patient interface {
	// Patience returns how long to wait for the image.
	Patience() time.Duration
}

// An Image is a finished image.
type Image interface {
	image.Source
	io.Closer
}

// An Upload is an unfinished image. It is safe for concurrent use.
type Upload interface {
	// ID returns the ID for Resume.
	ID() string
	// Has reports whether a part exists as recorded. missing means that the target has no part with this number. Has
	// reads the part, unless the target knows the checksums of parts or this process stored the part.
	Has(ctx context.Context, p Part) (same, missing bool, err error)
	// Lists reports whether Has works without reading the part.
	Lists() bool
	// Send stores a part durably. known is the record of the part with this number, or the zero value. found reports
	// that the part existed already. Send returns the target's fields of the new record, without the checksums.
	Send(ctx context.Context, number int, b []byte, known Part) (p Part, found bool, err error)
	// Refresh reads the list of stored parts again.
	Refresh(ctx context.Context) error
	// Complete assembles the image from its parts and gives it its name.
	Complete(ctx context.Context, parts []Part) error
	io.Closer
}

// A Part is the record of one part of the image.
type Part struct {
	Number int    `json:"number"` // from 1 on
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // in hexadecimal
	Start  string `json:"start"`  // SHA-256 of the first 64 KiB, or of the whole part if it is shorter

	// Fields of an object store.
	ETag   string `json:"etag,omitempty"`
	MD5    string `json:"md5,omitempty"`
	Proved bool   `json:"proved,omitempty"`
}
