package xz

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
)

// A check is the type of the integrity check of a stream's blocks (section 2.1.1.2).
type check byte

const (
	checkNone   check = 0
	checkCRC32  check = 1
	checkCRC64  check = 4
	checkSHA256 check = 10
)

func (c check) known() bool {
	return c == checkNone || c == checkCRC32 || c == checkCRC64 || c == checkSHA256
}

// size returns the size of the check in bytes.
func (c check) size() int64 {
	switch c {
	case checkCRC32:
		return 4
	case checkCRC64:
		return 8
	case checkSHA256:
		return sha256.Size
	}
	return 0
}

func (c check) String() string {
	switch c {
	case checkCRC32:
		return "CRC32"
	case checkCRC64:
		return "CRC64"
	case checkSHA256:
		return "SHA-256"
	}
	return "none"
}

// A digest is a running check.
type digest struct {
	check
	crc32 uint32
	crc64 uint64
	hash  hash.Hash
}

func (d *digest) reset(c check) {
	d.check, d.crc32, d.crc64 = c, 0, 0
	if c == checkSHA256 {
		if d.hash == nil {
			d.hash = sha256.New()
		}
		d.hash.Reset()
	}
}

func (d *digest) write(p []byte) {
	switch d.check {
	case checkCRC32:
		d.crc32 = crc32.Update(d.crc32, crc32.IEEETable, p)
	case checkCRC64:
		d.crc64 = updateCRC64(d.crc64, p)
	case checkSHA256:
		d.hash.Write(p)
	}
}

// sum appends the check in its file format.
func (d *digest) sum(b []byte) []byte {
	switch d.check {
	case checkCRC32:
		return binary.LittleEndian.AppendUint32(b, d.crc32)
	case checkCRC64:
		return binary.LittleEndian.AppendUint64(b, d.crc64)
	case checkSHA256:
		return d.hash.Sum(b)
	}
	return b
}
