package shard_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"
	"time"

	"github.com/luksimg/luksimg/shard"
)

// A memory is a [shard.Target] in memory that lists its parts, like an object store.
type memory struct {
	mu       sync.Mutex
	image    []byte // nil until finished
	uploads  map[string]map[int][]byte
	files    map[string][]byte
	sends    int
	hidden   int // number of times that Open does not show the image yet
	patience time.Duration
	before   func(number int) error // called before each part is sent
	damage   bool                   // complete a damaged image
}

func newMemory() *memory {
	return &memory{uploads: map[string]map[int][]byte{}, files: map[string][]byte{}}
}

func (m *memory) Begin(_ context.Context, _, _ int64) (shard.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := fmt.Sprint("upload ", len(m.uploads))
	m.uploads[id] = map[int][]byte{}
	return &memoryUpload{m, id, nil}, nil
}

func (m *memory) Resume(ctx context.Context, id string, _, _ int64) (shard.Upload, error) {
	u := &memoryUpload{m, id, nil}
	return u, u.Refresh(ctx)
}

type memoryImage struct{ *bytes.Reader }

func (memoryImage) Close() error { return nil }

func (m *memory) Open(context.Context) (shard.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.image == nil || m.hidden > 0 {
		m.hidden--
		return nil, fs.ErrNotExist
	}
	return memoryImage{bytes.NewReader(m.image)}, nil
}

func (m *memory) Patience() time.Duration { return m.patience }

func (m *memory) Remove(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.image = nil
	return nil
}

func (m *memory) Save(_ context.Context, name string, b, old []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.files[name], old) {
		return shard.ErrStale
	}
	m.files[name] = bytes.Clone(b)
	return nil
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[name], nil
}

func (m *memory) Clear(_ context.Context, names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		delete(m.files, n)
	}
	return nil
}

type memoryUpload struct {
	*memory
	id    string
	there map[int][]byte
}

func (u *memoryUpload) ID() string   { return u.id }
func (u *memoryUpload) Lists() bool  { return true }
func (u *memoryUpload) Close() error { return nil }

func (u *memoryUpload) Refresh(context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	parts, ok := u.uploads[u.id]
	if !ok {
		return fs.ErrNotExist
	}
	u.there = maps.Clone(parts)
	return nil
}

func etag(b []byte) string { return fmt.Sprintf("%x", md5.Sum(b)) }

func (u *memoryUpload) Has(_ context.Context, p shard.Part) (same, missing bool, err error) {
	b, ok := u.there[p.Number]
	return ok && etag(b) == p.ETag && int64(len(b)) == p.Size, !ok, nil
}

func (u *memoryUpload) Send(_ context.Context, number int, b []byte, _ shard.Part) (shard.Part, bool, error) {
	if u.before != nil {
		if err := u.before(number); err != nil {
			return shard.Part{}, false, err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if bytes.Equal(u.there[number], b) {
		return shard.Part{ETag: etag(b)}, true, nil
	}
	if u.uploads[u.id] == nil {
		return shard.Part{}, false, fs.ErrNotExist
	}
	u.sends++
	u.uploads[u.id][number] = bytes.Clone(b)
	return shard.Part{ETag: etag(b)}, false, nil
}

func (u *memoryUpload) Complete(_ context.Context, parts []shard.Part) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []byte
	for i, p := range parts {
		b := u.uploads[u.id][i+1]
		if etag(b) != p.ETag || p.Number != i+1 {
			return errors.New("InvalidPart")
		}
		all = append(all, b...)
	}
	if u.damage {
		all[len(all)-1] ^= 1
	}
	u.image = all
	delete(u.uploads, u.id)
	return nil
}

func (m *memory) Abort(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, id)
	return nil
}
