package s3

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// indexFile tells what the files of the folder are.
const indexFile = "index.json"

const maxIndex = 256 << 20

// The index as JSON. It has no secrets.
type (
	savedBucket struct {
		Name     string        `json:"name"`
		Owner    string        `json:"owner"`
		Location string        `json:"location"`
		RootKey  string        `json:"root_key_crn,omitempty"`
		Created  time.Time     `json:"created"`
		Objects  []savedObject `json:"objects,omitempty"`
		Uploads  []savedUpload `json:"uploads,omitempty"`
	}
	savedObject struct {
		Key      string      `json:"key"`
		ETag     string      `json:"etag"`
		Modified time.Time   `json:"modified"`
		Header   http.Header `json:"header,omitempty"`
		Blobs    []savedBlob `json:"blobs"`
	}
	savedUpload struct {
		ID     string            `json:"id"`
		Key    string            `json:"key"`
		Begun  time.Time         `json:"begun"`
		Header http.Header       `json:"header,omitempty"`
		Parts  map[int]savedPart `json:"parts,omitempty"`
	}
	savedPart struct {
		savedBlob
		Modified time.Time `json:"modified"`
	}
	savedBlob struct {
		File string `json:"file"`
		Size int64  `json:"size"`
		MD5  string `json:"md5"`
	}
)

func (b *blobFile) saved() savedBlob {
	return savedBlob{filepath.Base(b.name), b.size, hex.EncodeToString(b.md5[:])}
}

// Save writes down what is stored, if [Options.Keep] is set.
func (s *Server) Save() error {
	if !s.o.Keep {
		return nil
	}
	s.mu.Lock()
	list := []savedBucket{}
	for name, b := range s.buckets {
		x := savedBucket{Name: name, Owner: b.owner, Location: b.location, RootKey: b.rootKey, Created: b.created}
		for key, o := range b.objects {
			y := savedObject{Key: key, ETag: o.etag, Modified: o.modified, Header: o.header}
			for _, blob := range o.blobs {
				y.Blobs = append(y.Blobs, blob.saved())
			}
			x.Objects = append(x.Objects, y)
		}
		for id, u := range b.uploads {
			y := savedUpload{ID: id, Key: u.key, Begun: u.begun, Header: u.header, Parts: map[int]savedPart{}}
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

// load reads what Save wrote, and removes the files that it does not speak of: they came
// after it, when the server was killed. What has lost a file since then is not there.
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
		b := &bucket{owner: x.Owner, location: x.Location, rootKey: x.RootKey, created: x.Created, objects: map[string]*object{}, uploads: map[string]*upload{}}
		for _, y := range x.Objects {
			o := &object{etag: y.ETag, modified: y.Modified, header: y.Header}
			whole := true
			for _, saved := range y.Blobs {
				blob, err := s.found(saved, known)
				if err != nil {
					return err
				}
				if whole = whole && blob != nil; !whole {
					continue
				}
				o.blobs = append(o.blobs, blob)
				o.size += blob.size
				o.ends = append(o.ends, o.size)
			}
			if len(y.Blobs) == 0 {
				return fmt.Errorf("%s: object %s/%s has no files", f.Name(), x.Name, y.Key)
			}
			if whole {
				b.objects[y.Key] = o
			}
		}
		for _, y := range x.Uploads {
			u := &upload{key: y.Key, begun: y.Begun, header: y.Header, parts: map[int]storedPart{}}
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

// found returns the file of a saved blob, or nil if it is not what was saved.
func (s *Server) found(b savedBlob, known map[string]bool) (*blobFile, error) {
	name := filepath.Join(s.dir, b.File)
	sum, err := hex.DecodeString(b.MD5)
	if err != nil || len(sum) != md5.Size || !strings.HasPrefix(b.File, blobPrefix) || filepath.Base(b.File) != b.File || known[b.File] {
		return nil, fmt.Errorf("%s: %q is no file of it", filepath.Join(s.dir, indexFile), b.File)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != b.Size {
		return nil, nil
	}
	known[b.File] = true
	return &blobFile{name, b.Size, [md5.Size]byte(sum)}, nil
}
