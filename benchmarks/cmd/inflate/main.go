// Command inflate runs package internal/inflate and its peers in turns, on one core, on
// clusters of 64 KiB that were compressed each for itself, and prints the rates and their
// ratios to the first peer.
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

// cluster is how many bytes are compressed together, as in a qcow2 image.
const cluster = 64 << 10

// A contender decompresses all of src, the clusters of dst.
type contender struct {
	name string
	run  func(dst []byte, src [][]byte) error
}

// peers and compress are what the libraries add that this was built with.
var (
	peers    []contender
	compress = func(b []byte) []byte {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 6) // the level is one of its levels
		w.Write(b)
		w.Close()
		return z.Bytes()
	}
)

func main() {
	rounds := flag.Int("rounds", 25, "rounds that all contenders run on each piece of a corpus")
	size := flag.Int("size", 16, "MiB of each corpus")
	only := flag.String("only", "", "run this contender alone, for a profile of it")
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

// piece is how many clusters a contender decompresses in a turn.
const piece = 16

// measure runs the contenders on the pieces of a corpus in turns. What counts of a piece is a
// contender's best round, which the others on the machine disturbed least.
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
						return fmt.Errorf("%s: other bytes than those that were compressed", all[k].name)
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

// reader is the interface to use a decompressor of package flate again.
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
