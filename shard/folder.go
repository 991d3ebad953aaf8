package shard

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/fsys"
)

// FolderSuffix is appended to the name of an image. It names the folder that holds the unfinished image.
const FolderSuffix = ".luksimg-shard"

// A File is a [Target] on a filesystem that all machines share. The unfinished image and the records are in a folder
// beside the image, whose name ends in [FolderSuffix].
type File struct {
	Name    string
	Replace bool // an existing file with this name may be replaced
	Private bool // only the owner may read the image
}

func (t File) folder() string { return t.Name + FolderSuffix }

// Begin implements [Target].
func (t File) Begin(_ context.Context, size, partSize int64) (Upload, error) {
	if err := t.free(); err != nil {
		return nil, err
	}
	if err := os.Mkdir(t.folder(), 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = t.taken(err)
		}
		return nil, t.full(err)
	}
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	rand.Read(id)
	u := &fileUpload{t: t, root: root, id: hex.EncodeToString(id), size: size, partSize: partSize}
	mode := os.FileMode(0o666)
	if t.Private {
		mode = 0o600
	}
	if u.f, err = root.OpenFile(u.file(), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode); err != nil {
		err = fmt.Errorf("%s: %w", t.folder(), err)
	}
	if err == nil {
		err = u.f.Truncate(size)
	}
	if err == nil {
		err = u.f.Sync()
	}
	if err == nil {
		err = errors.Join(fsys.OS.SyncDir(t.folder()), fsys.OS.SyncDir(filepath.Dir(t.Name)))
	}
	if err != nil {
		u.Close()
		t.Abort(context.Background(), u.id)
		return nil, t.full(err)
	}
	return u, nil
}

// full adds a hint to the error for a full disk.
func (t File) full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return advice.With(err, "make room in "+filepath.Dir(t.Name)+", and run the same command again to resume")
	}
	return err
}

// taken returns the error for an image that another job makes.
func (t File) taken(err error) error {
	return advice.With(fmt.Errorf("another job is making %s: %w", t.Name, err), "abort that job first: luksimg shard abort JOB")
}

// Free returns an error if Begin would refuse the image: because its name exists and may not be replaced
// ([fs.ErrExist]), or because another job makes it.
func (t File) Free() error {
	if err := t.free(); err != nil {
		return err
	}
	if _, err := os.Lstat(t.folder()); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = t.taken(&fs.PathError{Op: "mkdir", Path: t.folder(), Err: fs.ErrExist})
		}
		return err
	}
	return nil
}

// free refuses a name that exists, unless it may be replaced.
func (t File) free() error {
	switch fi, err := os.Lstat(t.Name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !t.Replace:
		return &fs.PathError{Op: "create", Path: t.Name, Err: fs.ErrExist}
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file, so it is not replaced", t.Name)
	}
	return nil
}

// Resume implements [Target].
func (t File) Resume(_ context.Context, id string, size, partSize int64) (Upload, error) {
	if err := checkUpload(id); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return nil, err
	}
	u := &fileUpload{t: t, root: root, id: id, size: size, partSize: partSize}
	if u.f, err = root.OpenFile(u.file(), os.O_RDWR|fsys.NonBlock, 0); err != nil {
		u.Close()
		return nil, err
	}
	fi, err := u.f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() != size) {
		err = fmt.Errorf("%s: not a file of %d bytes", filepath.Join(t.folder(), u.file()), size)
	}
	if err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

func checkUpload(id string) error {
	if b, err := hex.DecodeString(id); err != nil || len(b) != 16 {
		return fmt.Errorf("%w: upload_id %.100q is not 32 hexadecimal digits", ErrJob, id)
	}
	return nil
}

// Abort implements [Target].
func (t File) Abort(_ context.Context, id string) error {
	if err := checkUpload(id); err != nil {
		return err
	}
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return ignoreMissing(err)
	}
	defer root.Close()
	if err := root.RemoveAll(id + imageSuffix); err != nil {
		return err
	}
	return t.removeFolder()
}

// removeFolder removes the folder unless it holds other files.
func (t File) removeFolder() error {
	if err := os.Remove(t.folder()); err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotEmpty(t.folder()) {
		return err
	}
	return nil
}

// A fileImage is a finished image in a file.
type fileImage struct {
	*image.File
	io.Closer
}

// Open implements [Target].
func (t File) Open(context.Context) (Image, error) {
	if fi, err := os.Stat(t.Name); err != nil || !fi.Mode().IsRegular() {
		if err == nil {
			err = fmt.Errorf("%s: not a regular file", t.Name)
		}
		return nil, err
	}
	f, err := os.Open(t.Name)
	if err != nil {
		return nil, err
	}
	i, err := image.NewFile(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return fileImage{i, f}, nil
}

// Remove implements [Target].
func (t File) Remove(context.Context) error { return os.Remove(t.Name) }

// Save implements [Target].
func (t File) Save(ctx context.Context, name string, b, old []byte) error {
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return err
	}
	defer root.Close()
	random := make([]byte, 8)
	rand.Read(random)
	temp := name + "." + hex.EncodeToString(random)
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return t.full(fmt.Errorf("%s: %w", t.folder(), err))
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		// Compare as late as possible. Anything that is not a record is replaced.
		if now, e := t.Load(ctx, name); e == nil && !bytes.Equal(now, old) {
			err = fmt.Errorf("%s: %w", name, ErrStale)
		}
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if fi, e := root.Lstat(name); err != nil && e == nil && fi.IsDir() {
		err = advice.With(fmt.Errorf("%s: the record is a folder", filepath.Join(t.folder(), name)), "remove the folder, and run the shard again")
	}
	if err != nil {
		root.Remove(temp)
		return t.full(err)
	}
	return fsys.OS.SyncDir(t.folder())
}

// Load implements [Target].
func (t File) Load(_ context.Context, name string) ([]byte, error) {
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return nil, ignoreMissing(err)
	}
	defer root.Close()
	if fi, err := root.Lstat(name); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s: not a regular file", ErrRecord, name)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|fsys.NonBlock, 0)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		if err == nil {
			err = fmt.Errorf("%w: %s: not a regular file", ErrRecord, name)
		}
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("%w: %s: longer than %d bytes", ErrRecord, name, maxRecord)
	}
	return b, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Clear implements [Target]. It keeps the folder if another job's image is in it.
func (t File) Clear(_ context.Context, names []string) error {
	root, err := os.OpenRoot(t.folder())
	if err != nil {
		return ignoreMissing(err)
	}
	defer root.Close()
	all, err := os.ReadDir(t.folder())
	if err != nil {
		return ignoreMissing(err)
	}
	ours := map[string]bool{}
	for _, n := range names {
		ours[n] = true
	}
	for _, e := range all {
		n := e.Name()
		base := n
		if len(n) > 17 && n[len(n)-17] == '.' { // left by a Save that was killed
			base = n[:len(n)-17]
		}
		if ours[n] || ours[base] {
			if err := root.RemoveAll(n); err != nil {
				return err
			}
		}
	}
	if err := t.removeFolder(); err != nil {
		return err
	}
	return fsys.OS.SyncDir(filepath.Dir(t.Name))
}

func isNotEmpty(folder string) bool {
	all, err := os.ReadDir(folder)
	return err == nil && len(all) > 0
}

// A fileUpload is an unfinished image in a file.
type fileUpload struct {
	t              File
	root           *os.Root
	f              *os.File
	id             string
	size, partSize int64

	mu    sync.Mutex
	there map[int]bool // parts that this process has stored or read
}

// imageSuffix follows the ID in the name of an unfinished image.
const imageSuffix = ".image"

func (u *fileUpload) file() string { return u.id + imageSuffix }

// ID implements [Upload].
func (u *fileUpload) ID() string { return u.id }

// Lists implements [Upload].
func (u *fileUpload) Lists() bool { return false }

// Refresh implements [Upload].
func (u *fileUpload) Refresh(context.Context) error { return nil }

// ReadAt reads from the unfinished image.
func (u *fileUpload) ReadAt(p []byte, off int64) (int, error) { return u.f.ReadAt(p, off) }

// Has implements [Upload]. It reads the part, unless this process has already stored or read it.
func (u *fileUpload) Has(ctx context.Context, p Part) (same, missing bool, err error) {
	u.mu.Lock()
	there := u.there[p.Number]
	u.mu.Unlock()
	if there {
		return true, false, nil
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	off := int64(p.Number-1) * u.partSize
	for at := int64(0); at < p.Size; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), p.Size-at)]
		if _, err := image.ReadFull(u.f, b, off+at); err != nil {
			return false, false, err
		}
		h.Write(b)
		if err := context.Cause(ctx); err != nil {
			return false, false, err
		}
	}
	if hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		return false, false, nil
	}
	u.note(p.Number)
	return true, false, nil
}

// Send implements [Upload].
func (u *fileUpload) Send(_ context.Context, number int, b []byte, _ Part) (Part, bool, error) {
	off := int64(number-1) * u.partSize
	if number < 1 || off > u.size-int64(len(b)) {
		return Part{}, false, fmt.Errorf("part %d of %d bytes is outside of an image of %d bytes in parts of %d", number, len(b), u.size, u.partSize)
	}
	if _, err := u.f.WriteAt(b, off); err != nil {
		return Part{}, false, u.t.full(err)
	}
	if err := u.f.Sync(); err != nil {
		return Part{}, false, u.t.full(err)
	}
	u.note(number)
	return Part{}, false, nil
}

// note records that a part is stored.
func (u *fileUpload) note(number int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.there == nil {
		u.there = map[int]bool{}
	}
	u.there[number] = true
}

// Complete implements [Upload].
func (u *fileUpload) Complete(context.Context, []Part) error {
	if err := u.f.Sync(); err != nil {
		return err
	}
	if err := u.t.free(); err != nil {
		return u.t.appeared(err)
	}
	from := filepath.Join(u.t.folder(), u.file())
	rename := fsys.OS.RenameNew
	if u.t.Replace {
		rename = fsys.OS.Rename
	}
	if err := rename(from, u.t.Name); err != nil {
		return u.t.appeared(err)
	}
	return errors.Join(fsys.OS.SyncDir(filepath.Dir(u.t.Name)), fsys.OS.SyncDir(u.t.folder()))
}

// appeared adds a hint to the error for a file that took the name of the image after the job was planned.
func (t File) appeared(err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return advice.With(err, "move "+t.Name+" away, and finish the job again: existing parts are kept")
}

// Close implements [Upload].
func (u *fileUpload) Close() error {
	var err error
	if u.f != nil {
		err = u.f.Close()
	}
	return errors.Join(err, u.root.Close())
}
