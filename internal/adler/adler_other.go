//go:build !amd64

package adler

import "hash/adler32"

// Checksum returns the Adler-32 of data.
func Checksum(data []byte) uint32 { return adler32.Checksum(data) }
