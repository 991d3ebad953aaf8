// Command inflate runs package internal/inflate and its peers in turns on one core. It decompresses
// clusters of 64 KiB, each compressed separately, and prints the rates and their ratios to the first
// peer.
package main

import (
	"bytes"
	"compress/flate"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	kpflate "github.com/klauspost/compress/flate"

	"github.com/luksimg/luksimg/internal/inflate"
)

// cluster is the number of bytes compressed together, as in a qcow2 image.
const cluster = 64 << 10

// A contender decompresses the clusters src to dst.
type contender struct {
	name string
	run  func(dst []byte, src [][]byte) error
}

// peers and compress can be set by the libraries of the build.
var (
	peers    []contender
	compress = func(b []byte) []byte {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 6) // the level is valid
		w.Write(b)
		w.Close()
		return z.Bytes()
	}
)

func main() {
	rounds := flag.Int("rounds", 25, "number of rounds on each piece of a corpus")
	size := flag.Int("size", 16, "size of each corpus in MiB")
	only := flag.String("only", "", "run only this contender, for profiling")
	flag.Parse()
	all := append(peers, contender{"luksimg pairs", pairs}, contender{"luksimg", single}, contender{"klauspost", klauspost}, contender{"compress/flate", standard})
	if *only != "" {
		all = slices.DeleteFunc(all, func(c contender) bool { return c.name != *only })
	}
	for _, c := range corpora(*size << 20) {
		if err := measure(c, all, *rounds); err != nil {
			fmt.Fprintln(os.Stderr, "inflate:", err)
			os.Exit(1)
		}
	}
}

// piece is the number of clusters that a contender decompresses per turn.
const piece = 16

// measure runs the contenders on the pieces of a corpus in turns. The result for a piece is the best
// round of each contender, which is the least disturbed by other processes.
func measure(c corpus, all []contender, rounds int) error {
	var packed [][]byte
	bytesIn := 0
	for b := range slices.Chunk(c.data, cluster) {
		z := compress(b)
		packed = append(packed, z)
		bytesIn += len(z)
	}
	dst := make([]byte, piece*cluster)
	best := make([]time.Duration, len(all))
	runtime.LockOSThread()
	for i := 0; i+piece <= len(packed); i += piece {
		turn := make([]time.Duration, len(all))
		for round := range rounds {
			for j := range all {
				k := (j + round) % len(all)
				start := time.Now()
				err := all[k].run(dst, packed[i:i+piece])
				took := time.Since(start)
				if err != nil {
					return fmt.Errorf("%s: %w", all[k].name, err)
				}
				if round == 0 {
					if !bytes.Equal(dst, c.data[i*cluster:][:len(dst)]) {
						return fmt.Errorf("%s: the output differs from the compressed data", all[k].name)
					}
					clear(dst)
				}
				if turn[k] == 0 || took < turn[k] {
					turn[k] = took
				}
			}
		}
		for k := range turn {
			best[k] += turn[k]
		}
	}
	fmt.Printf("%s: %d MiB, compressed to %.0f %%\n", c.name, len(c.data)>>20, 100*float64(bytesIn)/float64(len(c.data)))
	for k, t := range best {
		fmt.Printf("  %-16s %6.2f GB/s   %5.2f\n", all[k].name, float64(len(c.data))/float64(t.Nanoseconds()), float64(best[0])/float64(t))
	}
	return nil
}

func single(dst []byte, src [][]byte) error {
	for i, z := range src {
		if n, err := inflate.Decode(dst[i*cluster:][:cluster], z); err != nil || n != cluster {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	return nil
}

// reader is the interface to reuse a decompressor of package flate.
type reader interface {
	io.Reader
	Reset(r io.Reader, dict []byte) error
}

var (
	standardReader = flate.NewReader(bytes.NewReader(nil)).(reader)
	klauspostRead  = kpflate.NewReader(bytes.NewReader(nil)).(reader)
)

func standard(dst []byte, src [][]byte) error  { return stream(standardReader, dst, src) }
func klauspost(dst []byte, src [][]byte) error { return stream(klauspostRead, dst, src) }

func stream(r reader, dst []byte, src [][]byte) error {
	for i, z := range src {
		if err := r.Reset(bytes.NewReader(z), nil); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, dst[i*cluster:][:cluster]); err != nil {
			return err
		}
	}
	return nil
}

func pairs(dst []byte, src [][]byte) error {
	var jobs [piece]inflate.Job
	for i, z := range src {
		jobs[i] = inflate.Job{Dst: dst[i*cluster:][:cluster], Src: z}
	}
	inflate.DecodeAll(jobs[:len(src)])
	for _, j := range jobs[:len(src)] {
		if j.N != cluster {
			return fmt.Errorf("%d bytes: %w", j.N, j.Err)
		}
	}
	return nil
}
