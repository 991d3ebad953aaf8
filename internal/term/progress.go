package term

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The modes of progress.
const (
	Auto  = "auto"  // Bar on a terminal, Plain elsewhere
	Bar   = "bar"   // one line, drawn again and again
	Plain = "plain" // a line every 30 s
	JSON  = "json"  // an object a second, a line each
	None  = "none"
)

// Modes are all modes of progress.
var Modes = []string{Auto, Bar, Plain, JSON, None}

// A Progress counts bytes and tells the person how far a job is. The job adds and
// never waits; a goroutine looks at the count from time to time.
type Progress struct {
	w     io.Writer
	mode  string
	phase string
	total int64 // zero if it is not known
	done  atomic.Int64
	start time.Time
	stop  chan struct{}
	ended chan struct{}
	drawn int // length of the line on the terminal
}

// Start begins to report on w about a job of total bytes; zero if that is not known.
func Start(w *os.File, mode, phase string, total int64) *Progress {
	if mode == Auto {
		mode = Plain
		if IsTerminal(w) {
			mode = Bar
		}
	}
	p := &Progress{w: w, mode: mode, phase: phase, total: total, start: time.Now(),
		stop: make(chan struct{}), ended: make(chan struct{})}
	go p.run(map[string]time.Duration{Bar: time.Second / 5, JSON: time.Second, Plain: 30 * time.Second}[mode])
	return p
}

// Add counts n more bytes. It is safe for concurrent use and does not block.
func (p *Progress) Add(n int64) { p.done.Add(n) }

// Done ends the reporting, and takes the line off the terminal.
func (p *Progress) Done() {
	close(p.stop)
	<-p.ended
}

func (p *Progress) run(interval time.Duration) {
	defer close(p.ended)
	if interval == 0 {
		<-p.stop
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.report()
		case <-p.stop:
			switch {
			case p.mode == JSON: // the last object tells the end
				p.report()
			case p.drawn > 0:
				fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
			}
			return
		}
	}
}

func (p *Progress) report() {
	done, elapsed := p.done.Load(), time.Since(p.start)
	rate := float64(done) / max(elapsed.Seconds(), 1e-3)
	eta := -1.0
	if p.total > 0 && done > 0 {
		eta = float64(max(0, p.total-done)) / rate
	}
	switch p.mode {
	case JSON:
		b, _ := json.Marshal(struct {
			Type  string  `json:"type"`
			Phase string  `json:"phase"`
			Done  int64   `json:"done"`
			Total int64   `json:"total"`
			Rate  int64   `json:"rate"`
			ETA   float64 `json:"eta_s"`
		}{"progress", p.phase, done, p.total, int64(rate), float64(int64(eta*10)) / 10})
		fmt.Fprintf(p.w, "%s\n", b)
	case Plain:
		fmt.Fprintf(p.w, "luksimg: %s\n", p.line(done, rate, eta))
	case Bar:
		line := p.line(done, rate, eta)
		fmt.Fprintf(p.w, "\r%-*s", p.drawn, line)
		p.drawn = max(p.drawn, len(line))
	}
}

// line is a state of the job in words: "encrypt 42 %, 420 MB of 1.0 GB, 2.1 GB/s, 3 s left".
func (p *Progress) line(done int64, rate, eta float64) string {
	s := p.phase
	if p.total > 0 {
		s += fmt.Sprintf(" %d %%, %s of %s", min(100, done*100/p.total), Bytes(done), Bytes(p.total))
	} else {
		s += " " + Bytes(done)
	}
	s += fmt.Sprintf(", %s/s", Bytes(int64(rate)))
	if eta >= 0 {
		s += fmt.Sprintf(", %s left", (time.Duration(eta*float64(time.Second)) + time.Second/2).Truncate(time.Second))
	}
	return s
}

// Bytes is a number of bytes for people, in powers of 1000: "1.5 GB".
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for ; f >= 999.95 && i < 5; i++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTPE"[i])
}
