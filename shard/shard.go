// Package shard has many machines make one image, encrypted or a fixed VHD, each of them a part of it.
//
// [Plan] looks at the disk, and writes down in a [Job] all that it takes to make any part of
// the image, but for the key, if it has one. Each machine then makes one of its shards with [Job.Run], in
// any order, at any time, twice if need be: what is there already is not made again. [Job.Finish]
// looks that all is there, and gives the image its name. [Job.Abort] leaves nothing.
//
// It is no scheduler: Slurm, Kubernetes, or whatever starts the machines, says which shard is whose.
//
// The image is made in a [Target]: a folder that all machines see, or an object of a store that takes parts
// from anybody. What each shard did is recorded beside the image, so that no two machines need to know of each other.
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
	// ErrJob is a job that is malformed, or has another version.
	ErrJob = advice.New("malformed job", "luksimg shard plan writes one")

	// ErrSource is a source that is not the one that the job was planned of.
	ErrSource = advice.New("the source is not the one that was planned", "give the job up, and plan it anew: the parts that are there are of the source as it was")

	// ErrGone is an image that is not being made any more: the job was given up, or another one took its place.
	ErrGone = advice.New("the image is not being made any more", "if another process finishes the job just now, try again in a minute; if the job was given up, plan it anew")

	// ErrReplaced is a part that is not the one that a shard made.
	ErrReplaced = advice.New("a part is not the one that was made", "run the shard again that made it, and then finish the job again")

	// ErrRecord is a record of a shard that can not be read.
	ErrRecord = advice.New("a record is damaged", "run its shard again, and then finish the job again")
)

// A Target is where an image is made.
type Target interface {
	// Begin makes room for an image of size bytes that comes in parts of partSize, the last of which may
	// be shorter.
	Begin(ctx context.Context, size, partSize int64) (Upload, error)
	// Resume returns what Begin made, by its ID. If it is not there any more the error
	// matches [fs.ErrNotExist].
	Resume(ctx context.Context, id string, size, partSize int64) (Upload, error)
	// Abort removes what Begin made, whatever became of it. It is no error if it is not there.
	Abort(ctx context.Context, id string) error
	// Open opens the image that is finished. If there is none the error matches [fs.ErrNotExist].
	Open(ctx context.Context) (Image, error)
	// Remove removes the image that is finished.
	Remove(ctx context.Context) error

	// Save stores a small file beside the image, all at once. Load returns what was stored, nil if there is
	// none; the error matches [ErrRecord] if there is something else. Clear removes such files, those that are there, and all that they were in.
	Save(ctx context.Context, name string, b []byte) error
	Load(ctx context.Context, name string) ([]byte, error)
	Clear(ctx context.Context, names []string) error
}

// A patient target may show an image some time after its upload has ended.
type patient interface {
	// Patience is how long to look for the image.
	Patience() time.Duration
}

// An Image is one that is finished.
type Image interface {
	image.Source
	io.Closer
}

// An Upload is an image that is being made. It is safe for concurrent use.
type Upload interface {
	// ID is the name that Resume knows it by.
	ID() string
	// Has tells whether a part is there as it was recorded. missing tells that there is none at
	// all of its number. It is quick where the target knows the sums of the parts, or this process has
	// stored the part, and reads the part otherwise.
	Has(ctx context.Context, p Part) (same, missing bool, err error)
	// Lists tells whether Has is quick for all parts.
	Lists() bool
	// Send stores a part, durably, unless it is there: then found is true. known is what was
	// recorded of the part of this number, if anything was. It returns what is to be recorded
	// beside the sums.
	Send(ctx context.Context, number int, b []byte, known Part) (p Part, found bool, err error)
	// Refresh looks again at what is there.
	Refresh(ctx context.Context) error
	// Complete makes the image of its parts, and gives it its name.
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
