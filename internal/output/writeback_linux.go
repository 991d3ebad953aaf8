package output

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// writebackStep is after how many bytes the system is asked to begin writing to the
	// disk. Left alone it waits until a tenth of the memory is dirty, and the Sync at the
	// end waits for all of that.
	writebackStep = 32 << 20

	// cacheLimit is the length of a file that may stay in the page cache as a whole. What
	// is longer pushes out what others have there, and is not read again soon.
	cacheLimit = 4 << 30
)

// WriteAt is that of the file. It goes past the page cache if the file is long, see
// [File.Expect]; if not, it has the system write to the disk meanwhile.
func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	if f.direct.takes(p, off) {
		n, err = f.direct.WriteAt(p, off)
		if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
		// The filesystem wants it otherwise than it told.
	}
	m, err := f.File.WriteAt(p[n:], off+int64(n))
	f.wrote(int64(m))
	return n + m, err
}

// Write is as WriteAt, at the end of what was written so far.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.wrote(int64(n))
	return n, err
}

func (f *File) wrote(n int64) {
	total := f.written.Add(n)
	if total/writebackStep == (total-n)/writebackStep {
		return
	}
	file, ok := f.File.(*os.File)
	if !ok {
		return
	}
	// Both are advice: where a filesystem does not take it, nothing is lost.
	fd := int(file.Fd())
	unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	if total > cacheLimit {
		unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) // what is on the disk already
	}
}
