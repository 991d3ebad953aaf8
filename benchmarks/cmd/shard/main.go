// Command shard measures how the time of a sharded job depends on the number of workers. Each worker is
// a process of luksimg with its own link to an S3 server, limited to the same rate. The command prints
// a Markdown table and writes a plot.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	luksimg := flag.String("luksimg", "luksimg", "`path` of luksimg")
	gateway := flag.String("versitygw", "versitygw", "`path` of versitygw")
	size := flag.Int64("size", 832, "size of the disk in `MiB`")
	rate := flag.Int64("rate", 8, "rate of each worker's link in `MB/s`")
	workers := flag.String("workers", "1,2,4,8", "numbers of workers")
	rounds := flag.Int("rounds", 3, "number of rounds; the median counts")
	plot := flag.String("plot", "", "write the plot to this `FILE`")
	flag.Parse()
	dir, err := os.MkdirTemp("", "shard")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b := &bench{ctx: context.Background(), luksimg: *luksimg, dir: dir, rate: *rate * 1e6, size: *size << 20}
	stop, err := b.start(*gateway)
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	var all []point
	for _, text := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			log.Fatalf("-workers %q", *workers)
		}
		var times []time.Duration
		for range *rounds {
			t, err := b.run(n)
			if err != nil {
				log.Fatal(err)
			}
			times = append(times, t)
		}
		slices.Sort(times)
		all = append(all, point{n, times[len(times)/2]})
	}
	fmt.Print(table(all))
	if *plot != "" {
		if err := os.WriteFile(*plot, []byte(draw(all)), 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

type bench struct {
	ctx     context.Context
	luksimg string
	dir     string
	rate    int64 // rate of a link in bytes/s
	size    int64 // size of the disk in bytes
	address string
	secret  string
}

// start starts the server and writes a disk of random data.
func (b *bench) start(gateway string) (stop func(), err error) {
	random := make([]byte, 16)
	rand.Read(random)
	b.secret = hex.EncodeToString(random)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.address = l.Addr().String()
	l.Close()
	data, meta := filepath.Join(b.dir, "data"), filepath.Join(b.dir, "meta")
	for _, d := range []string{filepath.Join(data, "images"), meta} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	c := exec.Command(gateway, "--port", b.address, "--region", "us-south", "posix", "--sidecar", meta, data)
	c.Env = append(os.Environ(), "ROOT_ACCESS_KEY=bench", "ROOT_SECRET_KEY="+b.secret)
	if err := c.Start(); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", b.address)
		if err == nil {
			conn.Close()
			break
		}
		if try == 100 {
			c.Process.Kill()
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	f, err := os.Create(filepath.Join(b.dir, "disk.raw"))
	if err == nil {
		_, err = io.CopyN(f, rand.Reader, b.size)
		f.Close()
	}
	return func() { c.Process.Kill(); c.Wait() }, err
}

// command returns a luksimg command that uses the server at the address.
func (b *bench) command(address string, args ...string) *exec.Cmd {
	c := exec.CommandContext(b.ctx, b.luksimg, args...)
	c.Dir = b.dir
	c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY="+b.secret, "LUKSIMG_COS_URL=http://"+address)
	return c
}

func (b *bench) do(args ...string) error {
	if out, err := b.command(b.address, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("luksimg %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// run returns the time from the start of the workers to the end of the last one.
func (b *bench) run(n int) (time.Duration, error) {
	os.Remove(filepath.Join(b.dir, "key"))
	if err := b.do("shard", "plan", "--generate-key", "key", "--shards", strconv.Itoa(n), "--part-size", "5M", "disk.raw", "cos://us-south/images/disk.luks", "job"); err != nil {
		return 0, err
	}
	errs := make(chan error, n)
	start := time.Now()
	for i := range n {
		address, err := b.link()
		if err != nil {
			return 0, err
		}
		go func() {
			out, err := b.command(address, "shard", "run", "--key-file", "key", "--shard", strconv.Itoa(i), "job").CombinedOutput()
			if err != nil {
				err = fmt.Errorf("shard %d: %w\n%s", i, err, out)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	t := time.Since(start)
	if err := b.do("shard", "finish", "job"); err != nil {
		return 0, err
	}
	if err := b.do("shard", "abort", "job"); err != nil {
		return 0, err
	}
	return t, os.Remove(filepath.Join(b.dir, "data/images/disk.luks"))
}

// link starts a proxy to the server that limits the total rate of requests, and returns its address.
func (b *bench) link() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	limit := &limiter{rate: b.rate}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", b.address)
			if err != nil {
				from.Close()
				continue
			}
			go func() { io.Copy(from, to); from.Close() }()
			go func() { io.Copy(to, slow{from, limit}); to.Close() }()
		}
	}()
	return l.Addr().String(), nil
}

// A limiter limits a rate in bytes per second.
type limiter struct {
	rate int64
	mu   sync.Mutex
	free time.Time // time when all passed bytes are sent
}

func (l *limiter) pass(n int) {
	l.mu.Lock()
	l.free = later(l.free, time.Now().Add(-20*time.Millisecond)).Add(time.Duration(int64(n) * int64(time.Second) / l.rate))
	wait := time.Until(l.free)
	l.mu.Unlock()
	time.Sleep(wait)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// slow is a reader at the rate of a limiter.
type slow struct {
	r io.Reader
	l *limiter
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 64<<10)])
	s.l.pass(n)
	return n, err
}
