package cos

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/output"
)

// A StateStore keeps what an upload or a download must know to go on after a crash: a
// few lines of JSON, without secrets. It is used from one goroutine at a time.
type StateStore interface {
	// Load returns what Save was given last, or nil if there is nothing.
	Load() ([]byte, error)
	// Save replaces it, as a whole or not at all.
	Save([]byte) error
	// Remove forgets it. It is no error if there is nothing.
	Remove() error
}

// A StateFile is a [StateStore] in the file of that name.
type StateFile string

// maxState bounds a state file: a download keeps 40 bytes a part.
const maxState = 4 << 20

// oldTemporary is what a StateFile that was being written ended with in earlier versions. A
// link of that name is there to have one of them write elsewhere.
const oldTemporary = ".tmp"

// Load implements [StateStore]. A file that somebody else wrote, or could have changed, is an
// error, and so is a link that was planted for the file while it is written.
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

// stateVersion is that of the JSON of both states.
const stateVersion = 1

// An uploadState is what is known of an upload that is under way.
type uploadState struct {
	Version  int    `json:"version"`
	Object   string `json:"object"`
	Size     int64  `json:"size"`
	PartSize int64  `json:"part_size"`
	Source   string `json:"source"` // a fingerprint, see below
	// Before it begins, the uploads of the object that were there already; or that they
	// cannot be listed. An upload that is begun and not known here is the one that a crash
	// kept from being saved.
	Others   []string `json:"others,omitempty"`
	Unlisted bool     `json:"unlisted,omitempty"`
	UploadID string   `json:"upload_id,omitempty"`
	// That ETags are no MD5 sums, and the parts that were sent then.
	Opaque bool             `json:"opaque,omitempty"`
	Parts  map[int]keptPart `json:"parts,omitempty"`
}

// A keptPart is a part that the service has: the ETag that it gave it, and the MD5 sum in
// hexadecimal of what was sent.
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
		return nil, fmt.Errorf("state of the upload: %d bytes in parts of %d", s.Size, s.PartSize)
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

// fingerprint tells one source from another without reading all of it: the hash of its
// length and of samples. The parts themselves are compared one by one.
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
