package guestdisk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

const (
	pageSize = 4096
	// maxPages limits a Recording to 32 MiB.
	maxPages = 8192
)

// A Recording keeps the parts of an image that were read. They suffice to open it and read its boot
// sector again when the file is gone. Create it with [Record]. It is safe for concurrent use, and
// can be encoded as JSON.
type Recording struct {
	mu    sync.Mutex
	r     io.ReaderAt // nil after Stop
	size  int64
	pages map[int64][]byte // by page number
}

// Record starts a recording of the image of size bytes in r.
func Record(r io.ReaderAt, size int64) *Recording {
	return &Recording{r: r, size: size, pages: make(map[int64][]byte)}
}

// Size returns the length of the image in bytes.
func (c *Recording) Size() int64 { return c.size }

// Stop releases the image: afterwards only the recorded parts are readable.
func (c *Recording) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r = nil
}

// ReadAt implements io.ReaderAt.
func (c *Recording) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at >= c.size {
			return done, io.EOF
		}
		page, err := c.page(at / pageSize)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], page[min(at%pageSize, int64(len(page))):])
	}
	return done, nil
}

func (c *Recording) page(n int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if page, ok := c.pages[n]; ok {
		return page, nil
	}
	if c.r == nil {
		return nil, fmt.Errorf("byte %d of the image was not recorded", n*pageSize)
	}
	if len(c.pages) >= maxPages {
		return nil, fmt.Errorf("opening the image reads more than %d bytes of it", maxPages*pageSize)
	}
	page := make([]byte, min(pageSize, c.size-n*pageSize))
	if got, err := c.r.ReadAt(page, n*pageSize); got < len(page) {
		return nil, noEOF(err)
	}
	c.pages[n] = page
	return page, nil
}

type recordingJSON struct {
	Size  int64      `json:"size"`
	Pages []pageJSON `json:"pages"`
}

type pageJSON struct {
	Page int64  `json:"page"`
	Data []byte `json:"data"`
}

// MarshalJSON encodes the recorded parts.
func (c *Recording) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := recordingJSON{Size: c.size}
	for _, n := range slices.Sorted(maps.Keys(c.pages)) {
		j.Pages = append(j.Pages, pageJSON{n, c.pages[n]})
	}
	return json.Marshal(j)
}

// UnmarshalJSON decodes what MarshalJSON encoded.
func (c *Recording) UnmarshalJSON(b []byte) error {
	var j recordingJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size, c.r, c.pages = j.Size, nil, make(map[int64][]byte)
	for _, p := range j.Pages {
		if p.Page < 0 || p.Page > j.Size/pageSize || int64(len(p.Data)) != min(pageSize, j.Size-p.Page*pageSize) || len(p.Data) == 0 {
			return fmt.Errorf("page %d of an image of %d bytes has %d bytes", p.Page, j.Size, len(p.Data))
		}
		c.pages[p.Page] = p.Data
	}
	return nil
}
