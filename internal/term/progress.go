package term

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"github.com/luksimg/luksimg/internal/size"
)

// These are the modes of progress.
const (
	Auto  = "auto"  // Bar on a terminal, Plain elsewhere
	Bar   = "bar"   // one line, redrawn
	Plain = "plain" // a line every 30 s
	JSON  = "json"  // one object per second, each on its line
	None  = "none"
)

// Modes lists all modes of progress.
var Modes = []string{Auto, Bar, Plain, JSON, None}

// A Progress counts bytes and reports the progress of a job. Add never blocks: a goroutine polls the
// count. In every mode SIGUSR1, and SIGINFO where it exists, requests a line.
type Progress struct {
	w     io.Writer
	width func() int // current width of the terminal; zero if unknown
	mode  string
	phase string
	total int64 // zero if unknown
	done  atomic.Int64
	rate  rate
	stop  chan struct{}
	ended chan struct{}
	drawn int // length of the line on the terminal
}

// Start begins to report on w the progress of a job of total bytes; zero if unknown.
func Start(w *os.File, mode, phase string, total int64) *Progress {
	if mode == Auto {
		mode = Plain
		if IsTerminal(w) && os.Getenv("TERM") != "dumb" {
			mode = Bar
		}
	}
	p := &Progress{w: w, width: func() int { return width(w) }, mode: mode, phase: phase, total: total,
		stop: make(chan struct{}), ended: make(chan struct{})}
	p.rate.add(time.Now(), 0)
	signals := make(chan os.Signal, 1)
	if len(statusSignals) > 0 {
		signal.Notify(signals, statusSignals...)
	}
	go func() {
		defer close(p.ended)
		defer signal.Stop(signals)
		p.run(signals)
	}()
	return p
}

// Add counts n more bytes. It is safe for concurrent use and does not block.
func (p *Progress) Add(n int64) { p.done.Add(n) }

// Done ends the reports and clears the line on the terminal.
func (p *Progress) Done() {
	close(p.stop)
	<-p.ended
}

// looks returns the interval of the polls, and the number of polls per report.
var looks = map[string]struct {
	interval time.Duration
	report   int
}{
	Bar:   {time.Second / 5, 1},
	JSON:  {time.Second, 1},
	Plain: {time.Second, 30},
	None:  {time.Second, 0},
}

func (p *Progress) run(signals <-chan os.Signal) {
	every := looks[p.mode]
	tick := time.NewTicker(every.interval)
	defer tick.Stop()
	for n := 1; ; {
		select {
		case now := <-tick.C:
			p.rate.add(now, p.done.Load())
			if every.report > 0 && n%every.report == 0 {
				p.report(p.mode)
			}
			n++
		case <-signals:
			p.rate.add(time.Now(), p.done.Load())
			p.clear()
			p.report(Plain)
		case <-p.stop:
			p.rate.add(time.Now(), p.done.Load())
			if p.mode == JSON { // the last object reports the end
				p.report(JSON)
			}
			p.clear()
			return
		}
	}
}

// clear clears the line on the terminal.
func (p *Progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", min(p.drawn, p.room())))
		p.drawn = 0
	}
}

func (p *Progress) report(mode string) {
	done, rate := p.done.Load(), p.rate.perSecond()
	eta := -1.0
	if p.total > 0 && rate > 0 {
		eta = float64(max(0, p.total-done)) / rate
	}
	switch mode {
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
		line, room := p.line(done, rate, eta), p.room()
		line = line[:min(len(line), room)]
		fmt.Fprintf(p.w, "\r%-*s", min(p.drawn, room), line)
		p.drawn = max(p.drawn, len(line))
	}
}

// room returns the maximum length of the line, which is ASCII. The last column stays empty, because a
// terminal can wrap when it is written. The width is read for each redraw, since it can change.
func (p *Progress) room() int {
	if w := p.width(); w > 0 {
		return max(1, w-1)
	}
	return math.MaxInt
}

// line describes the state of the job: "encrypt 42 %, 420 MB of 1.0 GB, 2.1 GB/s, 3 s left".
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

// Bytes formats a number of bytes for people; see [size.Text].
func Bytes(n int64) string { return size.Text(n) }
