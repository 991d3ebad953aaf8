// Command shardscale measures how the time of luksimg shard run goes with the number of machines: each worker is
// a process whose way to Object Storage has the same bandwidth, which is all that limits it. It prints a table, and
// draws a plot. The store is the sandbox of this project, in this process.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

var (
	luksimg = flag.String("luksimg", "luksimg", "the program")
	mib     = flag.Int("mib", 158, "size of the disk in MiB: with the header 32 parts of 5 MiB, as many for each of 8 workers")
	rate    = flag.Int("rate", 4<<20, "bytes a second of each worker")
	plot    = flag.String("plot", "", "file for the plot, SVG")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := measure(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A row is what was measured of so many workers.
type row struct {
	workers int
	seconds float64
}

func measure(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "shardscale")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := sandbox.Start(ctx, sandbox.Options{Bucket: "images"})
	if err != nil {
		return err
	}
	defer s.Close()
	b := bench{dir: dir, env: append(os.Environ(), s.Settings().Env()...)}
	for _, v := range b.env {
		if u, ok := strings.CutPrefix(v, "LUKSIMG_COS_URL="); ok {
			b.store = u
		}
	}
	disk := make([]byte, *mib<<20)
	rand.NewChaCha8([32]byte{1}).Read(disk)
	if err := os.WriteFile(b.at("disk"), disk, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(b.at("key"), []byte("a key of a benchmark, which is no secret"), 0o600); err != nil {
		return err
	}
	var rows []row
	fmt.Printf("| workers | s | times as fast as one | of linear |\n| ---: | ---: | ---: | ---: |\n")
	for _, n := range []int{1, 2, 4, 8} {
		seconds, err := b.run(ctx, n)
		if err != nil {
			return err
		}
		rows = append(rows, row{n, seconds})
		speed := rows[0].seconds / seconds
		fmt.Printf("| %d | %.1f | %.2f | %.0f %% |\n", n, seconds, speed, 100*speed/float64(n))
	}
	if *plot == "" {
		return nil
	}
	return os.WriteFile(*plot, draw(rows), 0o644)
}

type bench struct {
	dir, store string
	env        []string
}

func (b *bench) at(name string) string { return filepath.Join(b.dir, name) }

// shard runs luksimg shard, with Object Storage at an address.
func (b *bench) shard(ctx context.Context, store string, args ...string) error {
	c := exec.CommandContext(ctx, *luksimg, append([]string{"shard"}, args...)...)
	c.Env = append(b.env[:len(b.env):len(b.env)], "LUKSIMG_COS_URL="+store)
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("luksimg shard %q: %w: %s", args, err, out)
	}
	return nil
}

// run makes an image with so many workers, and returns how long they took.
func (b *bench) run(ctx context.Context, workers int) (seconds float64, err error) {
	job := b.at(fmt.Sprint("job", workers))
	// The same parts for all, so that a shard of one in eight has as many as it needs.
	if err := b.shard(ctx, b.store, "plan", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", b.at("key"), "--part-size", "5M",
		"--shards", fmt.Sprint(workers), b.at("disk"), fmt.Sprintf("cos://us-south/images/image%d", workers), job); err != nil {
		return 0, err
	}
	var proxies []string
	for range workers {
		p, err := b.proxy()
		if err != nil {
			return 0, err
		}
		defer p.Close()
		proxies = append(proxies, "http://"+p.Addr().String())
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range workers {
		wg.Go(func() {
			errs[i] = b.shard(ctx, proxies[i], "run", "--key-file", b.at("key"), "--shard", fmt.Sprintf("%d/%d", i, workers), job)
		})
	}
	wg.Wait()
	seconds = time.Since(begin).Seconds()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	if err := b.shard(ctx, b.store, "finish", "--verify", job); err != nil {
		return 0, err
	}
	return seconds, nil
}

// proxy listens for one worker, and forwards what it sends at the rate.
func (b *bench) proxy() (net.Listener, error) {
	u, err := url.Parse(b.store)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	way := &limit{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, u.Host, way)
		}
	}()
	return l, nil
}

func forward(c net.Conn, host string, way *limit) {
	defer c.Close()
	s, err := net.Dial("tcp", host)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		io.Copy(c, s)
		c.Close()
	}()
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		way.wait(n)
		if _, e := s.Write(buf[:n]); e != nil || err != nil {
			return
		}
	}
}

// A limit is the bandwidth that the connections of one worker share.
type limit struct {
	mu   sync.Mutex
	free time.Time // when the way is free
}

// wait returns when n bytes have passed.
func (l *limit) wait(n int) {
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(*rate))
	until := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(until))
}

// draw draws how many times as fast as one worker several are.
func draw(rows []row) []byte {
	const w, h, left, bottom = 480.0, 320.0, 60.0, 50.0
	most := float64(rows[len(rows)-1].workers)
	x := func(v float64) float64 { return left + v/most*(w-left-20) }
	y := func(v float64) float64 { return h - bottom - v/most*(h-bottom-20) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", w, h)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", w, h)
	fmt.Fprintf(&b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="#bbb" stroke-dasharray="4"/>`+"\n", x(0), y(0), x(most), y(most))
	fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1fH%.1f" stroke="#000" fill="none"/>`+"\n", x(0), y(most), y(0), x(most))
	var line []string
	for _, r := range rows {
		n, speed := float64(r.workers), rows[0].seconds/r.seconds
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(n), y(speed)))
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="#0b62d6"/>`+"\n", x(n), y(speed))
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`+"\n", x(n), y(0)+18, r.workers)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="end">%d</text>`+"\n", x(0)-8, y(n)+4, r.workers)
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#0b62d6" stroke-width="2"/>`+"\n", strings.Join(line, " "))
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">workers of %.1f MiB/s each</text>`+"\n", (x(0)+x(most))/2, h-10, float64(*rate)/(1<<20))
	fmt.Fprintf(&b, `<text x="16" y="%.1f" text-anchor="middle" transform="rotate(-90 16 %.1f)">times as fast as one</text>`+"\n</svg>\n", (y(0)+y(most))/2, (y(0)+y(most))/2)
	return []byte(b.String())
}
