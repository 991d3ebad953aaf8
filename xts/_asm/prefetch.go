package main

import "fmt"

// Prefetch distances in bytes, measured with data in memory. If the data are in the cache, prefetching
// costs nothing.
const (
	sourceAhead      = 3072
	destinationAhead = 2048
)

// prefetch returns instructions that bring size bytes of source and destination into the cache. Spread
// them over the AES rounds: sixteen in a row fill the buffers for cache misses, and then even loads
// that hit must wait.
func prefetch(size int) code {
	var c code
	for i := 0; i < size; i += 64 {
		c.op("PREFETCHT0 %d(SI)", sourceAhead+i)
		c.op("%s", prefetchW(destinationAhead+i))
	}
	return c
}

// prefetchSource is like prefetch, for the source only.
func prefetchSource(size int) code {
	var c code
	for i := 0; i < size; i += 64 {
		c.op("PREFETCHT0 %d(SI)", sourceAhead+i)
	}
	return c
}

// prefetchW is PREFETCHW offset(DI), which the assembler does not support. Every CPU with AVX2 has the
// instruction, and on older CPUs it does nothing.
func prefetchW(offset int) string {
	return fmt.Sprintf("BYTE $0x0f; BYTE $0x0d; BYTE $0x8f; LONG $%d // PREFETCHW %d(DI)", offset, offset)
}
