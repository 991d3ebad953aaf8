package main

import "fmt"

// How far ahead of the data prefetching runs, in bytes. Measured from memory; when
// the data is in the cache prefetching costs nothing.
const (
	sourceAhead      = 3072
	destinationAhead = 2048
)

// prefetch returns instructions that bring size bytes of source and destination
// into the cache. They are to be spread over the AES rounds: sixteen in a row fill
// the buffers for cache misses, and then even loads that hit have to wait.
func prefetch(size int) code {
	var c code
	for i := 0; i < size; i += 64 {
		c.op("PREFETCHT0 %d(SI)", sourceAhead+i)
		c.op("%s", prefetchW(destinationAhead+i))
	}
	return c
}

// prefetchSource is prefetch of the source alone.
func prefetchSource(size int) code {
	var c code
	for i := 0; i < size; i += 64 {
		c.op("PREFETCHT0 %d(SI)", sourceAhead+i)
	}
	return c
}

// prefetchW is PREFETCHW offset(DI), which the assembler lacks. It is an instruction
// of every CPU that has AVX2, and does nothing on older ones.
func prefetchW(offset int) string {
	return fmt.Sprintf("BYTE $0x0f; BYTE $0x0d; BYTE $0x8f; LONG $%d // PREFETCHW %d(DI)", offset, offset)
}
