package faultfs

import (
	"io/fs"
	"maps"
	"time"
)

const pageSize = 4096

// A node is a file without its name. Missing pages are zeros. Pages are immutable, so that copies can
// share them.
type node struct {
	pages  map[int64]*[pageSize]byte
	size   int64
	mode   fs.FileMode
	time   time.Time
	holder *File // holder of the lock
	before *node // its content at the start of the journal
}

func newNode(mode fs.FileMode) *node {
	n := &node{mode: mode, time: time.Unix(1e9, 0)}
	n.before = n.clone()
	return n
}

func (n *node) clone() *node {
	return &node{pages: maps.Clone(n.pages), size: n.size, mode: n.mode, time: n.time}
}

func (n *node) readAt(p []byte, off int64) int {
	if off >= n.size {
		return 0
	}
	p = p[:min(int64(len(p)), n.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		rest := p[done:min(len(p), done+pageSize-int(at%pageSize))]
		if page := n.pages[at/pageSize]; page != nil {
			copy(rest, page[at%pageSize:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(p)
}

func (n *node) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	if n.pages == nil {
		n.pages = map[int64]*[pageSize]byte{}
	}
	n.size = max(n.size, off+int64(len(p)))
	for len(p) > 0 {
		page := new([pageSize]byte)
		if old := n.pages[off/pageSize]; old != nil {
			*page = *old
		}
		k := copy(page[off%pageSize:], p)
		n.pages[off/pageSize] = page
		p, off = p[k:], off+int64(k)
	}
}

func (n *node) truncate(size int64) {
	if size < n.size {
		for i := range n.pages {
			if i*pageSize >= size {
				delete(n.pages, i)
			}
		}
		if page := n.pages[size/pageSize]; page != nil {
			short := *page
			clear(short[size%pageSize:])
			n.pages[size/pageSize] = &short
		}
	}
	n.size = size
}
