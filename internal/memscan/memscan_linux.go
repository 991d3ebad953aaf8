// Package memscan looks for secrets in the memory of its own process, for tests.
package memscan

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	chunk = 1 << 20
	// maxNeedle is the length of the longest secret that can be looked for.
	maxNeedle = 4096
)

// mask is what everything is XORed with before it is compared, so that looking for a
// secret makes no copy of it, not even in a register that the runtime saves.
var mask = bytes.Repeat([]byte{0xa5}, chunk+maxNeedle)

// A Needle is a secret as it can be held without being found: masked.
type Needle []byte

// Mask returns secret as a Needle. The secret itself stays where it is.
func Mask(secret []byte) Needle {
	n := make(Needle, len(secret))
	subtle.XORBytes(n, secret, mask)
	return n
}

// Reveal puts the secret into dst, which has its length.
func (n Needle) Reveal(dst []byte) { subtle.XORBytes(dst, n, mask) }

// Count returns how many copies of each needle are in the memory of the process that can be
// written: heap, stacks and data. A needle has from 1 to 4096 bytes.
func Count(needles ...Needle) ([]int, error) {
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	// The buffer is a mapping of its own, made after the list was read: it is not scanned.
	buf, err := unix.Mmap(-1, 0, chunk+maxNeedle, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	defer unix.Munmap(buf)
	found := make([]int, len(needles))
	for s := bufio.NewScanner(bytes.NewReader(maps)); s.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		for at := from; at < to; at += chunk {
			// Each chunk is read with what a needle that begins in it may need of the next.
			n, err := mem.ReadAt(buf[:min(chunk+maxNeedle, to-at)], int64(at))
			if err != nil && n == 0 {
				continue // a mapping that went away meanwhile
			}
			b := buf[:n]
			subtle.XORBytes(b, b, mask)
			for i, needle := range needles {
				found[i] += count(b, needle)
			}
		}
	}
	return found, nil
}

// count counts what begins in the first chunk of b.
func count(b, needle []byte) (n int) {
	b = b[:min(len(b), chunk+len(needle)-1)]
	for {
		i := bytes.Index(b, needle)
		if i < 0 {
			return n
		}
		n++
		b = b[i+1:]
	}
}
