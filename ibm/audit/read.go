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

// ReadOptions bound what [Read] takes. Zero values are defaults.
type ReadOptions struct {
	MaxBytes  int64 // in all; zero is 256 MiB
	MaxRecord int   // bytes of a line, or of an element of an array; zero is 1 MiB
	MaxEvents int   // zero is 200000
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

// ErrTooLarge means that there is more than [ReadOptions] allow.
var ErrTooLarge = errors.New("more than the limit")

// Skipped tells what [Read] could not read as events.
type Skipped struct {
	Records int   `json:"records"`         // how many
	Lines   []int `json:"lines,omitempty"` // the first ten; elements for an array
	NoTime  int   `json:"no_time"`         // events whose time could not be read
}

// Join adds what another call of [Read] skipped.
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

// Read reads events: one JSON object a line, a JSON array, objects over many lines, or
// the text/event-stream that a query of Cloud Logs gives. Objects may be events, or may
// have events inside as Activity Tracker, Cloud Logs and their exports wrap them.
// What is no event is counted and skipped. The error is about reading, or
// [ErrTooLarge]; the events read so far come with it.
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
	// White space and a byte order mark may come first.
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

// oneLine tells whether the first line is a JSON value by itself, as far as the buffer
// shows it: if not, one object takes many lines.
func oneLine(br *bufio.Reader) bool {
	head, _ := br.Peek(br.Size())
	line, _, whole := bytes.Cut(head, []byte("\n"))
	return !whole || json.Valid(line)
}

func (c *collector) tooLarge() error {
	return fmt.Errorf("audit: %w of %d bytes", ErrTooLarge, c.o.MaxBytes)
}

// lines reads one record a line; "data:" in front of it is that of an event stream.
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

// values reads the elements of an array, or objects one after the other.
func (c *collector) values(br *bufio.Reader, array bool) error {
	// What has been read can be at most a record past the end of the last one, and
	// the decoder's buffer.
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

// cut says that JSON ends early or is none; all before it was read.
func (c *collector) cut(err error) error {
	if err == nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	if c.all.N <= 0 {
		return c.tooLarge()
	}
	return fmt.Errorf("audit: the JSON is malformed or cut off: %w", err)
}

// An allowance is a reader that gives no more than was allowed.
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

// wrappers are the names that services and exports put events under.
var wrappers = []string{
	"event", "message", "_line", "line", "log", "user_data", "userData", "text", "body", "json", "payload",
	"data", "result", "results", "response", "logs", "events", "hits", "_source", "records", "textObject", "logRecord",
}

const (
	maxDepth = 8    // of wrappers
	maxParts = 4096 // objects looked at in one record
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
				found = true // the head of an answer of Cloud Logs
			}
		}
	}
	if !found {
		c.skipped.add(number)
	}
	return nil
}

// isEvent tells an event from what it is wrapped in.
func isEvent(m map[string]json.RawMessage) bool {
	_, action := m["action"]
	_, outcome := m["outcome"]
	_, at := m["eventTime"]
	return action && (outcome || at)
}
