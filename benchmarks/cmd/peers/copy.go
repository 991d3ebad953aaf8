package main

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

// piece is the size of reads and writes in bytes. A copy with smaller pieces takes longer.
const piece = 1 << 20

// copyFile copies with pread and pwrite in several workers. It is the minimum time for a program that
// reads a file and writes another one.
func copyFile(workers, src, dst string) error {
	n, err := strconv.Atoi(workers)
	if err != nil {
		return err
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			buf := make([]byte, piece)
			for failed.Load() == nil {
				off := next.Add(piece) - piece
				if off >= fi.Size() {
					return
				}
				b := buf[:min(piece, fi.Size()-off)]
				_, err := in.ReadAt(b, off)
				if err == nil {
					_, err = out.WriteAt(b, off)
				}
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// writeFile writes as many bytes as src has from memory. It is the minimum time for a program that
// writes a file.
func writeFile(src, dst string) error {
	fi, err := os.Stat(src)
	if err != nil {
		return err
	}
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	buf := make([]byte, piece)
	for i := range buf {
		buf[i] = 0x5a
	}
	for left := fi.Size(); left > 0; left -= piece {
		if _, err := out.Write(buf[:min(piece, left)]); err != nil {
			return err
		}
	}
	return nil
}
