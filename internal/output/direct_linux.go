package output

import (
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// longFile is the length in bytes from which a file is written past the page cache. The cache would
// evict other data for a file that is not read again soon. The file must be on the disk at the end of
// the job anyway, so caching saves nothing.
var longFile int64 = 1 << 30

// directWrite is the minimum length in bytes of a write past the cache, because each one waits for the
// disk.
const directWrite = 256 << 10

// A direct is a second handle of the file that writes past the page cache.
type direct struct {
	*os.File
	align int // alignment of offsets, lengths and memory
}

// Expect announces the length of the file in bytes, before the first WriteAt. A dense file has no
// holes, and Expect returns an error if it does not fit on the disk. Otherwise size is only advice.
func (f *File) Expect(size int64, dense bool) error {
	file, ok := f.File.(*os.File)
	if !ok {
		return nil
	}
	align := alignment(file)
	if size < longFile || align == 0 || f.direct != nil {
		return nil
	}
	if dense {
		// Otherwise writes behind the end of the file wait for each other, and for the filesystem to
		// allocate space.
		if err := allocate(file, size, f.name); err != nil {
			return err
		}
	}
	d, err := os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil // write through the cache
	}
	if !system.IsNamed(f.File, f.Name()) || !system.IsNamed(d, f.Name()) { // renamed in the meantime
		d.Close()
		return nil
	}
	f.direct = &direct{d, max(align, os.Getpagesize())}
	return nil
}

// allocate reserves space for a file of size bytes. Errors refer to it by name.
func allocate(f *os.File, size int64, name string) error {
	fd := int(f.Fd())
	full := func(err error) error { return &fs.PathError{Op: "write", Path: name, Err: err} }
	// A filesystem may allocate all free space before it fails, which would leave none for other
	// programs.
	var s unix.Statfs_t
	if err := unix.Fstatfs(fd, &s); err == nil && s.Bsize > 0 && uint64(size)/uint64(s.Bsize) > s.Bfree {
		return full(unix.ENOSPC)
	}
	for {
		err := unix.Fallocate(fd, 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG):
			return full(err)
		}
		return nil // not every filesystem supports this
	}
}

// alignment returns the alignment for writes past the cache. It is 0 if they are impossible or useless,
// as on a memory filesystem.
func alignment(f *os.File) int {
	fd := int(f.Fd())
	var x unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &x)
	if err == nil && x.Mask&unix.STATX_DIOALIGN != 0 {
		return int(max(x.Dio_mem_align, x.Dio_offset_align))
	}
	// Before Linux 6.1, only these two are known to support direct writes.
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) == nil && (s.Type == unix.EXT4_SUPER_MAGIC || s.Type == unix.XFS_SUPER_MAGIC) {
		return os.Getpagesize()
	}
	return 0
}

// takes reports whether p can be written directly at off. A write must not share a page with other
// data, which may be in the cache.
func (d *direct) takes(p []byte, off int64) bool {
	return d != nil && len(p) >= directWrite && len(p)%d.align == 0 && off%int64(d.align) == 0 &&
		uintptr(unsafe.Pointer(&p[0]))%uintptr(d.align) == 0
}

// closeDirect closes the second handle. It must be called before the file is closed.
func (f *File) closeDirect() {
	if f.direct != nil {
		f.direct.Close() // the file is synced, so Close has no error to report
	}
}
