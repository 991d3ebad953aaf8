package shard

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/members"
	"github.com/luksimg/luksimg/manifest"
)

// Version is that of the JSON of a job. Members may be added within a version.
const Version = 1

const (
	maxJob = 64 << 20 // bytes of JSON

	// MaxShards is how many shards a job has at most.
	MaxShards = 10_000
	// MaxParts is how many parts an image has at most: [Amazon S3 multipart upload limits].
	//
	// [Amazon S3 multipart upload limits]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxParts = 10_000
	// MinPart is the least size of a part but the last, in bytes, by the same limits.
	MinPart = 5 << 20
	// MaxPart is the largest size of a part, in bytes.
	MaxPart = 5 << 30
	// MaxUploadID is the length of the longest upload ID, in bytes.
	MaxUploadID = 1024
)

// A Job is what all machines have to know. There is no secret in it. docs/shard.md describes its JSON form.
type Job struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // 32 hexadecimal digits
	Created time.Time `json:"created"`
	Tool    string    `json:"tool"`

	Source      Source `json:"source"`
	Destination string `json:"destination"` // its name
	Replace     bool   `json:"replace,omitempty"`
	UploadID    string `json:"upload_id"`

	PartSize int64 `json:"part_size"` // bytes
	Shards   int   `json:"shards"`

	Image    luksimg.Blueprint  `json:"image"`
	Envelope json.RawMessage    `json:"envelope,omitempty"` // with the wrapped key
	Manifest *manifest.Manifest `json:"manifest,omitempty"` // of an image that is encrypted
}

// A Source is the file with the disk, and how it is to be read.
type Source struct {
	Name  string  `json:"name"`
	Stamp Stamp   `json:"stamp"`
	Read  Reading `json:"read"`
}

// A Stamp tells one version of a file from another.
type Stamp struct {
	Size int64     `json:"size"` // bytes
	Time time.Time `json:"time,omitzero"`
	ETag string    `json:"etag,omitempty"`
}

// Check tells whether a file is still the one that the stamp is of: [ErrSource].
func (s Stamp) Check(now Stamp) error {
	switch {
	case s.Size != now.Size:
		return fmt.Errorf("%w: it has %d bytes, and had %d", ErrSource, now.Size, s.Size)
	case s.ETag != now.ETag:
		return fmt.Errorf("%w: its ETag is %.100q, and was %.100q", ErrSource, now.ETag, s.ETag)
	case !s.Time.Equal(now.Time):
		return fmt.Errorf("%w: it was changed at %s, and before at %s", ErrSource, now.Time.UTC().Format(time.RFC3339Nano), s.Time.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// Reading say how the disk is read out of the file.
type Reading struct {
	Format    string `json:"format"` // of the image in the file; it is not detected again
	Snapshot  string `json:"snapshot,omitempty"`
	Member    string `json:"member,omitempty"`
	OCIImage  string `json:"oci_image,omitempty"`
	NoUnpack  bool   `json:"no_unpack,omitempty"`
	MaxSize   int64  `json:"max_unpacked,omitempty"` // bytes
	MaxWindow int64  `json:"max_window,omitempty"`   // bytes
}

// Parse reads a job to the end of r.
func Parse(r io.Reader) (*Job, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxJob+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxJob {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrJob, maxJob)
	}
	if err := (members.Rules{Depth: maxDepth}).Check(json.NewDecoder(bytes.NewReader(b))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	var version struct{ Version int }
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	if version.Version != Version {
		return nil, fmt.Errorf("%w: version %d, and this program knows %d", ErrJob, version.Version, Version)
	}
	j := new(Job)
	if err := json.Unmarshal(b, j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	return j, j.check()
}

// maxDepth is more than a job has: the deepest is what the manifest tells of the header.
const maxDepth = 32

// Write writes the job as JSON.
func (j *Job) Write(w io.Writer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(j); err != nil {
		return err
	}
	if b.Len() > maxJob {
		return fmt.Errorf("%w: it would have %d bytes, and %d are the most: where the data of the disk are takes too much room", ErrJob, b.Len(), maxJob)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check tells what is wrong with a job that was read.
func (j *Job) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrJob}, args...)...)
	}
	id, err := hex.DecodeString(j.ID)
	switch {
	case err != nil || len(id) != 16:
		return bad("id %.100q is not 32 hexadecimal digits", j.ID)
	case j.Source.Name == "" || j.Destination == "" || j.UploadID == "":
		return bad("source, destination or upload_id is missing")
	case len(j.UploadID) > MaxUploadID:
		return bad("upload_id has %d bytes", len(j.UploadID))
	case j.Source.Stamp.Size < 0:
		return bad("the source has %d bytes", j.Source.Stamp.Size)
	case j.Shards < 1 || j.Shards > MaxShards:
		return bad("%d shards, and 1 to %d are possible", j.Shards, MaxShards)
	case j.PartSize < MinPart || j.PartSize > MaxPart:
		return bad("parts of %d bytes, and %d to %d are possible", j.PartSize, int64(MinPart), int64(MaxPart))
	case j.Image.FileSize < 1 || j.Image.FileSize > MaxParts*j.PartSize:
		return bad("an image of %d bytes in parts of %d", j.Image.FileSize, j.PartSize)
	case j.Image.Encrypted() && j.Manifest == nil:
		return bad("manifest is missing")
	case !j.Image.Encrypted() && (j.Manifest != nil || j.Envelope != nil):
		return bad("a manifest, or a wrapped key, of an image that is not encrypted")
	}
	if _, err := j.Image.Result(); err != nil {
		return bad("image: %w", err)
	}
	return nil
}

// Parts is how many parts the image has.
func (j *Job) Parts() int { return int((j.Image.FileSize + j.PartSize - 1) / j.PartSize) }

// Shard returns the first part of a shard, numbered from 1 on, and the one past its last. A shard may have no part.
func (j *Job) Shard(i int) (from, to int) {
	n := int64(j.Parts())
	return int(n*int64(i)/int64(j.Shards)) + 1, int(n*int64(i+1)/int64(j.Shards)) + 1
}

// shardOf is the shard that a part is in.
func (j *Job) shardOf(number int) int {
	i := int(int64(number-1) * int64(j.Shards) / int64(j.Parts()))
	for _, to := j.Shard(i); number >= to; _, to = j.Shard(i) {
		i++
	}
	return i
}

// span returns where a part is in the image.
func (j *Job) span(number int) (off, size int64) {
	off = int64(number-1) * j.PartSize
	return off, min(j.PartSize, j.Image.FileSize-off)
}

// ShardSize is how many bytes of the image are those of a shard.
func (j *Job) ShardSize(i int) int64 {
	from, to := j.Shard(i)
	if from == to {
		return 0
	}
	first, _ := j.span(from)
	last, n := j.span(to - 1)
	return last + n - first
}
