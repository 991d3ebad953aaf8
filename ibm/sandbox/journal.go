package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
)

// maxEvents limits the journal. When it is exceeded, the older half is dropped.
const maxEvents = 100_000

// An entry is an audit event with its JSON.
type entry struct {
	time time.Time
	text []byte
}

// A journal holds the audit events of all services in order: in memory and, if it has
// a name, in a file of JSON lines.
type journal struct {
	name    string
	changed func() // called after each event

	mu      sync.Mutex
	entries []entry
	file    *os.File
	err     error // the first error of the file
}

func newJournal(name string, changed func()) *journal { return &journal{name: name, changed: changed} }

// load reads the file and opens it for appending. It drops a truncated last
// line.
func (j *journal) load() error {
	if j.name == "" {
		return nil
	}
	text, err := os.ReadFile(j.name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	lines := bufio.NewScanner(bytes.NewReader(text[:whole]))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e audit.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			j.entries = append(j.entries, entry{e.Time, bytes.Clone(lines.Bytes())})
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if j.file, err = os.OpenFile(j.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	return j.file.Truncate(int64(whole))
}

// add appends an event, which must be encodable as JSON.
func (j *journal) add(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		return
	}
	var e audit.Event
	if json.Unmarshal(text, &e) != nil {
		return
	}
	defer j.changed()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) >= maxEvents {
		j.entries = slices.Clone(j.entries[maxEvents/2:])
	}
	j.entries = append(j.entries, entry{e.Time, text})
	if j.file != nil {
		_, err := j.file.Write(append(slices.Clip(text), '\n'))
		j.err = errors.Join(j.err, err)
	}
}

// all returns all entries, oldest first.
func (j *journal) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return j.err
	}
	err := errors.Join(j.err, j.file.Close())
	j.file = nil
	return err
}
