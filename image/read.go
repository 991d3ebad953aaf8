package image

import "io"

// ReadFull reads len(p) bytes at off of r, which can be a [Source] or the file of one. Unlike
// [io.ReaderAt] it returns nil whenever p is full and continues after a short read. It reports an
// early end as [io.ErrUnexpectedEOF], because callers could mistake io.EOF for the end of their
// own input.
func ReadFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := r.ReadAt(p[done:], off+int64(done))
		done += n
		if done == len(p) {
			break
		}
		switch {
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case err == nil && n == 0:
			err = io.ErrNoProgress
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
