package output

import (
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// longFile is the length from which a file goes to the disk past the page cache. There it
// would push out what others have, for a file that is not read again soon. And all of it
// must be on the disk when the job ends, so that the copy into the cache is in vain.
var longFile int64 = 1 << 30

// directWrite is the least length of a write that goes past the cache: each one waits for
// the disk.
const directWrite = 256 << 10

// A direct writes past the page cache, to a file that is open twice.
type direct struct {
	*os.File
	align int // of offsets, lengths and memory
}

// Expect says how long the file will be, before the first WriteAt. If it will have no holes
// it is dense: then there is an error if it does not fit on the disk. Advice otherwise.
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
		// Writes behind the end of a file wait for each other, and each of them for the
		// filesystem to find room.
		if err := allocate(file, size, f.name); err != nil {
			return err
		}
	}
	d, err := os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil // then through the cache
	}
	if !system.IsNamed(f.File, f.Name()) || !system.IsNamed(d, f.Name()) { // it was moved just now
		d.Close()
		return nil
	}
	f.direct = &direct{d, max(align, os.Getpagesize())}
	return nil
}

// allocate takes room for a file of size bytes, which errors call by this name.
func allocate(f *os.File, size int64, name string) error {
	fd := int(f.Fd())
	full := func(err error) error { return &fs.PathError{Op: "write", Path: name, Err: err} }
	// A filesystem may take what there is before it finds that it is too little, and then
	// other programs have none.
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
		return nil // not every filesystem can
	}
}

// alignment returns what writes past the cache must be aligned to; 0 if that can not be
// done, or is of no use, as in memory.
func alignment(f *os.File) int {
	fd := int(f.Fd())
	var x unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &x)
	if err == nil && x.Mask&unix.STATX_DIOALIGN != 0 {
		return int(max(x.Dio_mem_align, x.Dio_offset_align))
	}
	// Before Linux 6.1, these two are known to.
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) == nil && (s.Type == unix.EXT4_SUPER_MAGIC || s.Type == unix.XFS_SUPER_MAGIC) {
		return os.Getpagesize()
	}
	return 0
}

// takes tells whether p may be written at off. What shares a page with other data may not:
// those may be in the cache.
func (d *direct) takes(p []byte, off int64) bool {
	return d != nil && len(p) >= directWrite && len(p)%d.align == 0 && off%int64(d.align) == 0 &&
		uintptr(unsafe.Pointer(&p[0]))%uintptr(d.align) == 0
}

// closeDirect is called before the file is closed.
func (f *File) closeDirect() {
	if f.direct != nil {
		f.direct.Close() // no error is left for it: the file is synced
	}
}
