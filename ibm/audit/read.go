package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadOptions limit what [Read] accepts. Zero values select the defaults.
type ReadOptions struct {
	MaxBytes  int64 // of the whole input; zero means 256 MiB
	MaxRecord int   // bytes of a line or an array element; zero means 1 MiB
	MaxEvents int   // zero means 200000
}

func (o ReadOptions) fill() ReadOptions {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.MaxRecord <= 0 {
		o.MaxRecord = 1 << 20
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = 200000
	}
	return o
}

// ErrTooLarge means that the input exceeds a limit of [ReadOptions].
var ErrTooLarge = errors.New("more than the limit")

// Skipped counts the input that [Read] could not decode as events.
type Skipped struct {
	Records int   `json:"records"`         // number of skipped records
	Lines   []int `json:"lines,omitempty"` // numbers of the first ten lines, or array elements
	NoTime  int   `json:"no_time"`         // events whose time could not be read
}

// Join adds the counts of another call of [Read].
func (s *Skipped) Join(o Skipped) {
	s.Records += o.Records
	s.NoTime += o.NoTime
	s.Lines = append(s.Lines, o.Lines...)
}

func (s *Skipped) add(line int) {
	s.Records++
	if len(s.Lines) < 10 {
		s.Lines = append(s.Lines, line)
	}
}

// Read reads events: one JSON object per line, a JSON array, objects that span lines, or the
// text/event-stream that a query of Cloud Logs returns. An object is an event or a wrapper of
// events as Activity Tracker, Cloud Logs and their exports write it. Read counts and skips all
// other records. The error reports a failed read, malformed JSON, or [ErrTooLarge]; Read returns
// the events up to that point with it.
func Read(r io.Reader, o ReadOptions) ([]Event, Skipped, error) {
	o = o.fill()
	all := &io.LimitedReader{R: r, N: o.MaxBytes + 1}
	c := &collector{o: o, all: all}
	err := c.read(bufio.NewReaderSize(all, 64<<10))
	return c.events, c.skipped, err
}

type collector struct {
	o       ReadOptions
	events  []Event
	skipped Skipped
	all     *io.LimitedReader
	taken   int64 // bytes
}

func (c *collector) read(br *bufio.Reader) error {
	// Skip leading white space and a byte order mark.
	for {
		b, err := br.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c.taken++; c.taken > c.o.MaxBytes {
			return c.tooLarge()
		}
		if bytes.IndexByte([]byte(" \t\r\n\xef\xbb\xbf"), b) < 0 {
			if err := br.UnreadByte(); err != nil {
				return err
			}
			c.taken--
			break
		}
	}
	first, err := br.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == '[' {
		return c.values(br, true)
	}
	if first[0] == '{' && !oneLine(br) {
		return c.values(br, false)
	}
	return c.lines(br)
}

// oneLine reports whether the first line is a complete JSON value, as far as the buffer
// shows. If not, one object spans several lines.
func oneLine(br *bufio.Reader) bool {
	head, _ := br.Peek(br.Size())
	line, _, whole := bytes.Cut(head, []byte("\n"))
	return !whole || json.Valid(line)
}

func (c *collector) tooLarge() error {
	return fmt.Errorf("audit: %w of %d bytes", ErrTooLarge, c.o.MaxBytes)
}

// lines reads one record per line. The prefix "data:" belongs to an event stream.
func (c *collector) lines(br *bufio.Reader) error {
	var line []byte
	for number := 1; ; number++ {
		line = line[:0]
		var long, end bool
		for {
			part, err := br.ReadSlice('\n')
			if c.taken += int64(len(part)); c.taken > c.o.MaxBytes {
				return c.tooLarge()
			}
			if long = long || len(line)+len(part) > c.o.MaxRecord; !long {
				line = append(line, part...)
			}
			if err == bufio.ErrBufferFull {
				continue
			}
			if err != nil && err != io.EOF {
				return err
			}
			end = err == io.EOF
			break
		}
		text := bytes.TrimSpace(line)
		switch {
		case long:
			c.skipped.add(number)
		case len(text) == 0, text[0] == ':', bytes.HasPrefix(text, []byte("event:")),
			bytes.HasPrefix(text, []byte("id:")), bytes.HasPrefix(text, []byte("retry:")):
		default:
			text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("data:")))
			if err := c.record(text, number); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// values reads the elements of an array, or a sequence of objects.
func (c *collector) values(br *bufio.Reader, array bool) error {
	// The decoder has read at most one record and its buffer past the end of the last
	// record.
	lim := &allowance{r: br}
	dec := json.NewDecoder(lim)
	allow := func() { lim.left = int64(c.o.MaxRecord) + 64<<10 - (lim.total - dec.InputOffset()) }
	allow()
	if array {
		if _, err := dec.Token(); err != nil {
			return c.cut(err)
		}
	}
	for number := 1; ; number++ {
		allow()
		if array && !dec.More() {
			_, err := dec.Token()
			return c.cut(err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err == io.EOF && !array {
			return nil
		} else if err != nil {
			c.skipped.add(number)
			return c.cut(err)
		}
		if c.taken = dec.InputOffset(); c.taken > c.o.MaxBytes {
			return c.tooLarge()
		}
		if len(raw) > c.o.MaxRecord {
			c.skipped.add(number)
			continue
		}
		if err := c.record(raw, number); err != nil {
			return err
		}
	}
}

// cut returns the error for JSON that is malformed or ends early, unless it is a limit error.
func (c *collector) cut(err error) error {
	if err == nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	if c.all.N <= 0 {
		return c.tooLarge()
	}
	return fmt.Errorf("audit: the JSON is malformed or cut off: %w", err)
}

// An allowance is a reader that stops after an allowed number of bytes.
type allowance struct {
	r           io.Reader
	left, total int64
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, fmt.Errorf("audit: one element is %w", ErrTooLarge)
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	a.total += int64(n)
	return n, err
}

// wrappers are the field names under which services and exports nest events.
var wrappers = []string{
	"event", "message", "_line", "line", "log", "user_data", "userData", "text", "body", "json", "payload",
	"data", "result", "results", "response", "logs", "events", "hits", "_source", "records", "textObject", "logRecord",
}

const (
	maxDepth = 8    // of nested wrappers
	maxParts = 4096 // objects examined in one record
)

// record finds the events in one JSON value.
func (c *collector) record(text []byte, number int) error {
	type part struct {
		raw   json.RawMessage
		depth int
	}
	queue := []part{{text, 0}}
	found := false
	for n := 0; n < len(queue) && n < maxParts; n++ {
		p := queue[n]
		raw := bytes.TrimSpace(p.raw)
		if len(raw) > 0 && raw[0] == '"' {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				continue
			}
			raw = []byte(strings.TrimSpace(s))
		}
		if len(raw) == 0 || p.depth > maxDepth {
			continue
		}
		switch raw[0] {
		case '[':
			var list []json.RawMessage
			if json.Unmarshal(raw, &list) == nil {
				for _, x := range list[:min(len(list), maxParts)] {
					queue = append(queue, part{x, p.depth + 1})
				}
			}
		case '{':
			var m map[string]json.RawMessage
			if json.Unmarshal(raw, &m) != nil {
				continue
			}
			if isEvent(m) {
				var e Event
				if json.Unmarshal(raw, &e) != nil {
					continue
				}
				if len(c.events) >= c.o.MaxEvents {
					return fmt.Errorf("audit: %w of %d events", ErrTooLarge, c.o.MaxEvents)
				}
				if e.Time.IsZero() {
					c.skipped.NoTime++
				}
				c.events = append(c.events, e)
				found = true
				continue
			}
			for _, name := range wrappers {
				if x, ok := m[name]; ok {
					queue = append(queue, part{x, p.depth + 1})
				}
			}
			if _, ok := m["query_id"]; ok && len(m) == 1 {
				found = true // the header of a Cloud Logs response
			}
		}
	}
	if !found {
		c.skipped.add(number)
	}
	return nil
}

// isEvent reports whether an object is an event rather than a wrapper.
func isEvent(m map[string]json.RawMessage) bool {
	_, action := m["action"]
	_, outcome := m["outcome"]
	_, at := m["eventTime"]
	return action && (outcome || at)
}
