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

// Version is the version of a job's JSON form. A version can gain members.
const Version = 1

const (
	maxJob = 64 << 20 // bytes of JSON

	// MaxShards is the largest number of shards in a job.
	MaxShards = 10_000
	// MaxParts is the largest number of parts in an image: [Amazon S3 multipart upload limits].
	//
	// [Amazon S3 multipart upload limits]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxParts = 10_000
	// MinPart is the smallest size in bytes of a part other than the last, by the same limits.
	MinPart = 5 << 20
	// MaxPart is the largest size of a part in bytes, by the same limits.
	MaxPart = 5 << 30
	// MaxUploadID is the longest upload ID, in bytes.
	MaxUploadID = 1024
)

// A Job is everything that a machine needs to make a shard, except the key. It holds no secret. docs/shard.md
// describes its JSON form. Do not change a Job while methods run; the methods are safe for concurrent use.
type Job struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // 32 hexadecimal digits
	Created time.Time `json:"created"`
	Tool    string    `json:"tool"`

	Source      Source `json:"source"`
	Destination string `json:"destination"` // name of the image
	Replace     bool   `json:"replace,omitempty"`
	UploadID    string `json:"upload_id"`

	PartSize int64 `json:"part_size"` // in bytes
	Shards   int   `json:"shards"`

	Image    luksimg.Blueprint  `json:"image"`
	Envelope json.RawMessage    `json:"envelope,omitempty"` // holds the wrapped key
	Manifest *manifest.Manifest `json:"manifest,omitempty"` // of an encrypted image
}

// A Source is the source file of the disk, and how to read it.
type Source struct {
	Name  string  `json:"name"`
	Stamp Stamp   `json:"stamp"`
	Read  Reading `json:"read"`
}

// A Stamp identifies one version of a file.
type Stamp struct {
	Size int64     `json:"size"` // in bytes
	Time time.Time `json:"time,omitzero"`
	ETag string    `json:"etag,omitempty"`
}

// Check returns [ErrSource] if now differs from s: the file was changed.
func (s Stamp) Check(now Stamp) error {
	switch {
	case s.Size != now.Size:
		return fmt.Errorf("%w: its size is %d bytes, not %d", ErrSource, now.Size, s.Size)
	case s.ETag != now.ETag:
		return fmt.Errorf("%w: its ETag is %.100q, not %.100q", ErrSource, now.ETag, s.ETag)
	case !s.Time.Equal(now.Time):
		return fmt.Errorf("%w: its modification time is %s, not %s", ErrSource, now.Time.UTC().Format(time.RFC3339Nano), s.Time.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// Reading says how to read the disk out of the source file. The JSON names follow luksimg's flags.
type Reading struct {
	Format    string `json:"format"` // image format in the file, which machines do not detect again
	Snapshot  string `json:"snapshot,omitempty"`
	Member    string `json:"member,omitempty"`
	OCIImage  string `json:"oci_image,omitempty"`
	NoUnpack  bool   `json:"no_unpack,omitempty"`
	MaxSize   int64  `json:"max_unpacked,omitempty"` // in bytes
	MaxWindow int64  `json:"max_window,omitempty"`   // in bytes
}

// Parse reads a job from r, up to its end, and validates it. If the job is malformed, the error is [ErrJob].
func Parse(r io.Reader) (*Job, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxJob+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxJob {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrJob, maxJob)
	}
	if err := (members.Rules{Depth: maxDepth}).Check(json.NewDecoder(bytes.NewReader(b))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	var version struct{ Version int }
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	if version.Version != Version {
		return nil, fmt.Errorf("%w: version is %d, want %d", ErrJob, version.Version, Version)
	}
	j := new(Job)
	if err := json.Unmarshal(b, j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJob, err)
	}
	return j, j.check()
}

// maxDepth is the deepest nesting of a job's JSON. The manifest's description of the header is the deepest part.
const maxDepth = 32

// Write writes the job as JSON. If it would exceed 64 MiB, the error is [ErrJob].
func (j *Job) Write(w io.Writer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(j); err != nil {
		return err
	}
	if b.Len() > maxJob {
		return fmt.Errorf("%w: it would have %d bytes, more than %d: the disk has too many extents", ErrJob, b.Len(), maxJob)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check validates a job.
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
		return bad("upload_id has %d bytes, want at most %d", len(j.UploadID), MaxUploadID)
	case j.Source.Stamp.Size < 0:
		return bad("source.stamp.size is %d", j.Source.Stamp.Size)
	case j.Shards < 1 || j.Shards > MaxShards:
		return bad("shards is %d, want 1 to %d", j.Shards, MaxShards)
	case j.PartSize < MinPart || j.PartSize > MaxPart:
		return bad("part_size is %d, want %d to %d", j.PartSize, int64(MinPart), int64(MaxPart))
	case j.Image.FileSize < 1 || j.Image.FileSize > MaxParts*j.PartSize:
		return bad("the image has %d bytes, want 1 to 10000 parts of %d", j.Image.FileSize, j.PartSize)
	case j.Image.Encrypted() && j.Manifest == nil:
		return bad("manifest is missing")
	case !j.Image.Encrypted() && (j.Manifest != nil || j.Envelope != nil):
		return bad("the image is not encrypted, but the job has a manifest or an envelope")
	}
	if _, err := j.Image.Result(); err != nil {
		return bad("image: %w", err)
	}
	return nil
}

// Parts returns the number of parts in the image.
func (j *Job) Parts() int { return int((j.Image.FileSize + j.PartSize - 1) / j.PartSize) }

// Shard returns the range of parts of shard i: the first, numbered from 1, and the one after the last. The range can
// be empty.
func (j *Job) Shard(i int) (from, to int) {
	n := int64(j.Parts())
	return int(n*int64(i)/int64(j.Shards)) + 1, int(n*int64(i+1)/int64(j.Shards)) + 1
}

// shardOf returns the shard of a part.
func (j *Job) shardOf(number int) int {
	i := int(int64(number-1) * int64(j.Shards) / int64(j.Parts()))
	for _, to := j.Shard(i); number >= to; _, to = j.Shard(i) {
		i++
	}
	return i
}

// span returns the offset and the size of a part in the image.
func (j *Job) span(number int) (off, size int64) {
	off = int64(number-1) * j.PartSize
	return off, min(j.PartSize, j.Image.FileSize-off)
}

// ShardSize returns the number of bytes of the image in shard i.
func (j *Job) ShardSize(i int) int64 {
	from, to := j.Shard(i)
	if from == to {
		return 0
	}
	first, _ := j.span(from)
	last, n := j.span(to - 1)
	return last + n - first
}
