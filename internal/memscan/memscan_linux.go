// Package memscan searches the memory of its own process for secrets, for tests.
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
	// maxNeedle is the maximum length of a secret, in bytes.
	maxNeedle = 4096
)

// mask is XORed with everything before the comparison. The search thus makes no copy of the secret, not
// even in a register that the runtime saves.
var mask = bytes.Repeat([]byte{0xa5}, chunk+maxNeedle)

// A Needle is a masked secret, which the search does not find.
type Needle []byte

// Mask returns secret as a Needle. It does not change secret.
func Mask(secret []byte) Needle {
	n := make(Needle, len(secret))
	subtle.XORBytes(n, secret, mask)
	return n
}

// Reveal writes the secret to dst, which must have the same length.
func (n Needle) Reveal(dst []byte) { subtle.XORBytes(dst, n, mask) }

// Count returns the number of copies of each needle in the writable memory of the process: heap, stacks
// and data. A needle has from 1 to 4096 bytes.
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
	// The buffer is a separate mapping, created after the list was read, so it is not scanned.
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
			// Each read overlaps the next chunk, for needles that cross its end.
			n, err := mem.ReadAt(buf[:min(chunk+maxNeedle, to-at)], int64(at))
			if err != nil && n == 0 {
				continue // the mapping has been removed
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

// count counts the needles that begin in the first chunk of b.
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
