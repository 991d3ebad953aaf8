package cos

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/output"
)

// A StateStore stores the state of an upload or download that it needs to resume after a crash: a
// few lines of JSON, without secrets. Its methods are never called concurrently.
type StateStore interface {
	// Load returns the bytes of the last Save, or nil if there are none.
	Load() ([]byte, error)
	// Save replaces the state atomically.
	Save([]byte) error
	// Remove removes the state. A missing state is not an error.
	Remove() error
}

// A StateFile is a [StateStore] that uses the file with that name.
type StateFile string

// maxState limits the size of a state file. A download needs 40 bytes per chunk.
const maxState = 4 << 20

// oldTemporary is the suffix of temporary files of earlier versions. An attacker could have planted a
// link with that name to redirect their writes.
const oldTemporary = ".tmp"

// Load implements [StateStore]. It returns an error if another user wrote or could have changed the
// file, or planted a link at its temporary name.
func (f StateFile) Load() ([]byte, error) {
	if err := output.RefuseLink(string(f) + oldTemporary); err != nil {
		return nil, err
	}
	return output.ReadOurs(string(f), maxState)
}

// Save implements [StateStore].
func (f StateFile) Save(b []byte) error { return output.WriteFile(string(f), b, 0o600) }

// Remove implements [StateStore].
func (f StateFile) Remove() error { return output.Remove(string(f)) }

// stateVersion is the version of both JSON formats.
const stateVersion = 1

// An uploadState is the saved state of an unfinished upload.
type uploadState struct {
	Version  int    `json:"version"`
	Object   string `json:"object"`
	Size     int64  `json:"size"`
	PartSize int64  `json:"part_size"`
	Source   string `json:"source"` // a fingerprint, see below
	// Others are the uploads of the object that existed before this one began, and whether they
	// could be listed. A new upload missing here is one that a crash kept from being saved.
	Others   []string `json:"others,omitempty"`
	Unlisted bool     `json:"unlisted,omitempty"`
	UploadID string   `json:"upload_id,omitempty"`
	// Opaque means that ETags are not MD5 sums. Parts are the parts sent in that case.
	Opaque bool             `json:"opaque,omitempty"`
	Parts  map[int]keptPart `json:"parts,omitempty"`
}

// A keptPart is a stored part: its ETag from the service, and the MD5 sum of the sent data in
// hexadecimal.
type keptPart struct {
	ETag string `json:"etag"`
	MD5  string `json:"md5"`
}

func parseUploadState(b []byte) (*uploadState, error) {
	s := new(uploadState)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("state of the upload: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("state of the upload: version %d, want %d", s.Version, stateVersion)
	}
	if s.Size < 0 || s.PartSize < MinPart || s.PartSize > MaxPart || partCount(s.Size, s.PartSize) > MaxParts {
		return nil, fmt.Errorf("state of the upload: invalid size %d or part size %d", s.Size, s.PartSize)
	}
	return s, nil
}

func saveState(store StateStore, state any) error {
	b, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	if err := store.Save(append(b, '\n')); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// fingerprint identifies a source without reading all of it. It hashes the length and some samples.
// The upload compares the parts themselves one by one.
func fingerprint(src io.ReaderAt, size int64) (string, error) {
	const samples, length = 32, 16 << 10
	h := sha256.New()
	fmt.Fprintf(h, "luksimg source %d\n", size)
	for i := range int64(samples) {
		off := max(0, size-length) / (samples - 1) * i
		if i == samples-1 {
			off = max(0, size-length)
		}
		if _, err := io.Copy(h, io.NewSectionReader(src, off, min(length, size-off))); err != nil {
			return "", fmt.Errorf("source: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
