package s3

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// indexFile is the index of the files in the folder.
const indexFile = "index.json"

const maxIndex = 256 << 20

// The index as JSON. It has no secrets.
type (
	savedBucket struct {
		Name     string            `json:"name"`
		Owner    string            `json:"owner"`
		Location string            `json:"location"`
		RootKey  string            `json:"root_key_crn,omitempty"`
		Created  time.Time         `json:"created"`
		Objects  []savedObject     `json:"objects,omitempty"`
		Uploads  []savedUpload     `json:"uploads,omitempty"`
		Settings map[string][]byte `json:"settings,omitempty"`
	}
	savedObject struct {
		Key      string         `json:"key"`
		ETag     string         `json:"etag"`
		Modified time.Time      `json:"modified"`
		Header   http.Header    `json:"header,omitempty"`
		Blobs    []savedBlob    `json:"blobs"`
		Checksum *savedChecksum `json:"checksum,omitempty"`
		Tags     []tag          `json:"tags,omitempty"`
	}
	savedUpload struct {
		ID        string            `json:"id"`
		Key       string            `json:"key"`
		Begun     time.Time         `json:"begun"`
		Header    http.Header       `json:"header,omitempty"`
		Parts     map[int]savedPart `json:"parts,omitempty"`
		Tags      []tag             `json:"tags,omitempty"`
		Algorithm string            `json:"checksum_algorithm,omitempty"`
		Kind      string            `json:"checksum_type,omitempty"`
	}
	savedPart struct {
		savedBlob
		Modified time.Time `json:"modified"`
	}
	savedBlob struct {
		File     string         `json:"file"`
		Size     int64          `json:"size"`
		MD5      string         `json:"md5"`
		Checksum *savedChecksum `json:"checksum,omitempty"`
	}
	savedChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     []byte `json:"value"`
		Parts     int    `json:"parts,omitempty"`
	}
)

func (b *blobFile) saved() savedBlob {
	return savedBlob{filepath.Base(b.name), b.size, hex.EncodeToString(b.md5[:]), b.sum.saved()}
}

func (s checksum) saved() *savedChecksum {
	if s.algorithm == "" {
		return nil
	}
	return &savedChecksum{s.algorithm, s.value, s.parts}
}

// loaded returns a saved checksum, or none if its algorithm is unknown.
func (s *savedChecksum) loaded() checksum {
	if s == nil || algorithms[s.Algorithm] == nil {
		return checksum{}
	}
	return checksum{s.Algorithm, s.Value, s.Parts}
}

// Save saves the index if [Options.Keep] is set.
func (s *Server) Save() error {
	if !s.o.Keep {
		return nil
	}
	s.mu.Lock()
	list := []savedBucket{}
	for name, b := range s.buckets {
		x := savedBucket{Name: name, Owner: b.owner, Location: b.location, RootKey: b.rootKey, Created: b.created, Settings: maps.Clone(b.settings)}
		for key, o := range b.objects {
			y := savedObject{Key: key, ETag: o.etag, Modified: o.modified, Header: o.header, Checksum: o.sum.saved(), Tags: o.tags}
			for _, blob := range o.blobs {
				y.Blobs = append(y.Blobs, blob.saved())
			}
			x.Objects = append(x.Objects, y)
		}
		for id, u := range b.uploads {
			y := savedUpload{ID: id, Key: u.key, Begun: u.begun, Header: u.header, Parts: map[int]savedPart{}, Tags: u.tags, Algorithm: u.plan.algorithm, Kind: u.plan.kind}
			for n, p := range u.parts {
				y.Parts[n] = savedPart{p.saved(), p.modified}
			}
			x.Uploads = append(x.Uploads, y)
		}
		list = append(list, x)
	}
	s.mu.Unlock()
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, indexFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, indexFile))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// load reads the saved index. It removes files that are not in the index, which were written
// after the last Save. It drops objects with missing files.
func (s *Server) load() error {
	f, err := os.Open(filepath.Join(s.dir, indexFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return err
	}
	var list []savedBucket
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	known := map[string]bool{indexFile: true}
	for _, x := range list {
		b := &bucket{owner: x.Owner, location: x.Location, rootKey: x.RootKey, created: x.Created, objects: map[string]*object{}, uploads: map[string]*upload{}, settings: x.Settings}
		for _, y := range x.Objects {
			var blobs []*blobFile
			for _, saved := range y.Blobs {
				blob, err := s.found(saved, known)
				if err != nil {
					return err
				}
				if blob != nil {
					blobs = append(blobs, blob)
				}
			}
			if len(y.Blobs) == 0 || y.ETag == "" {
				return fmt.Errorf("%s: object %s/%s has no files", f.Name(), x.Name, y.Key)
			}
			if len(blobs) == len(y.Blobs) {
				o := newObject(y.Modified, y.Header, y.ETag, blobs...)
				o.sum, o.tags = y.Checksum.loaded(), y.Tags
				b.objects[y.Key] = o
			}
		}
		for _, y := range x.Uploads {
			u := &upload{key: y.Key, begun: y.Begun, header: y.Header, tags: y.Tags, parts: map[int]storedPart{}}
			if plan, err := parsePlan(http.Header{"X-Amz-Checksum-Algorithm": {y.Algorithm}, "X-Amz-Checksum-Type": {y.Kind}}); err == nil {
				u.plan = plan
			}
			for n, p := range y.Parts {
				blob, err := s.found(p.savedBlob, known)
				if err != nil {
					return err
				}
				if blob != nil {
					u.parts[n] = storedPart{blob, p.Modified}
				}
			}
			b.uploads[y.ID] = u
		}
		s.buckets[x.Name] = b
	}
	files, err := os.ReadDir(s.dir)
	for _, e := range files {
		if !known[e.Name()] && strings.HasPrefix(e.Name(), blobPrefix) {
			os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
	return err
}

// found returns the file of a saved blob, or nil if it does not match the index.
func (s *Server) found(b savedBlob, known map[string]bool) (*blobFile, error) {
	name := filepath.Join(s.dir, b.File)
	sum, err := hex.DecodeString(b.MD5)
	if err != nil || len(sum) != md5.Size || !strings.HasPrefix(b.File, blobPrefix) || filepath.Base(b.File) != b.File || known[b.File] {
		return nil, fmt.Errorf("%s: invalid file name %q", filepath.Join(s.dir, indexFile), b.File)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != b.Size {
		return nil, nil
	}
	known[b.File] = true
	return &blobFile{name, b.Size, [md5.Size]byte(sum), b.Checksum.loaded()}, nil
}
