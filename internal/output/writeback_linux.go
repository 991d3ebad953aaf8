package output

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// writebackStep is the number of bytes after which the system is asked to begin writing to the
	// disk. By default it waits until a tenth of the memory is dirty, and the final Sync then waits for
	// all of that.
	writebackStep = 32 << 20

	// cacheLimit is the length in bytes up to which a file can stay in the page cache. A longer file
	// would evict other data, and is not read again soon.
	cacheLimit = 4 << 30
)

// WriteAt implements [io.WriterAt]. Long files are written past the page cache; see [File.Expect]. For
// others it makes the system start writing to the disk early.
func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	if f.direct.takes(p, off) {
		n, err = f.direct.WriteAt(p, off)
		if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
		// The filesystem needs another alignment than it reported.
	}
	m, err := f.File.WriteAt(p[n:], off+int64(n))
	f.wrote(int64(m))
	return n + m, err
}

// Write is like WriteAt at the end of the data written so far.
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
	// Both calls are only advice: it does not matter if the filesystem ignores them.
	fd := int(file.Fd())
	unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	if total > cacheLimit {
		unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) // pages that are already on the disk
	}
}
