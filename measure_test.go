package luksimg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
)

// unread is a disk of a given size that must not be read.
type unread struct {
	t    *testing.T
	size int64
}

func (u unread) Size() int64 { return u.size }

func (u unread) ReadAt([]byte, int64) (int, error) {
	u.t.Error("the disk was read")
	return 0, io.ErrUnexpectedEOF
}

func (u unread) Extents(int64, int64) iter.Seq2[image.Extent, error] {
	u.t.Error("the extents of the disk were requested")
	return func(func(image.Extent, error) bool) {}
}

// TestTooLarge uses a disk that is too large for the format. The error must come before the disk is
// read and before a key is derived.
func TestTooLarge(t *testing.T) {
	src := unread{t, 1 << 56}
	for _, c := range []struct {
		o    EncryptOptions
		want error
	}{
		{EncryptOptions{Format: QCOW2}, image.ErrTooLarge},
		{EncryptOptions{Format: VHD}, image.ErrTooLarge},
	} {
		if err := c.o.CheckSize(src.size); !errors.Is(err, c.want) {
			t.Errorf("CheckSize, %s: %v", c.o.Format, err)
		}
		if err := c.o.CheckSize(1 << 40); err != nil {
			t.Errorf("CheckSize of 1 TiB, %s: %v", c.o.Format, err)
		}
		if _, err := Measure(t.Context(), src, c.o); !errors.Is(err, c.want) {
			t.Errorf("Measure, %s: %v", c.o.Format, err)
		}
		if _, err := Encrypt(t.Context(), nil, src, []byte("x"), c.o); !errors.Is(err, c.want) {
			t.Errorf("Encrypt, %s: %v", c.o.Format, err)
		}
		if _, err := Decrypt(t.Context(), nil, src, DecryptOptions{Format: c.o.Format}); !errors.Is(err, c.want) {
			t.Errorf("Decrypt, %s: %v", c.o.Format, err)
		}
	}
	if err := (EncryptOptions{}).CheckSize(1 << 56); err != nil {
		t.Errorf("LUKS2: %v", err)
	}
}

// A limited is a file with a maximum length in bytes.
type limited struct {
	t       *testing.T
	max     int64
	size    int64
	expects bool
}

var errLimit = errors.New("file too large")

func (f *limited) Expect(int64, bool) error { f.expects = true; return nil }

func (f *limited) Truncate(n int64) error {
	if n > f.max {
		return errLimit
	}
	f.size = n
	return nil
}

func (f *limited) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.size {
		f.t.Errorf("%d bytes written at %d, the file has %d", len(p), off, f.size)
	}
	return len(p), nil
}

// TestLengthFirst checks that the file gets its length before any write. If that fails, the job must
// end before it reads the disk.
func TestLengthFirst(t *testing.T) {
	o := EncryptOptions{LUKS: luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}}}
	discard, digest := o, o
	discard.DiscardZeros, digest.Digest = true, true
	for name, job := range map[string]func(dst io.WriterAt, src image.Source) error{
		"decrypt": func(dst io.WriterAt, src image.Source) error {
			_, err := Decrypt(t.Context(), dst, src, DecryptOptions{})
			return err
		},
		"encrypt": func(dst io.WriterAt, src image.Source) error {
			_, err := Encrypt(t.Context(), dst, src, []byte("x"), o)
			return err
		},
		"encrypt, no zeros": func(dst io.WriterAt, src image.Source) error {
			_, err := Encrypt(t.Context(), dst, src, []byte("x"), discard)
			return err
		},
		"encrypt, with digests": func(dst io.WriterAt, src image.Source) error {
			_, err := Encrypt(t.Context(), dst, src, []byte("x"), digest)
			return err
		},
	} {
		if err := job(&limited{t: t, max: 1 << 44}, unread{t, 1 << 56}); !errors.Is(err, errLimit) {
			t.Errorf("%s: %v", name, err)
		}
		f := &limited{t: t, max: 1 << 44}
		if err := job(f, bytes.NewReader(make([]byte, 1<<20))); err != nil || f.size < 1<<20 || !f.expects {
			t.Errorf("%s: %v, a file of %d bytes", name, err, f.size)
		}
	}
}

// slow is a disk with one hole that is reported one sector at a time. It cancels the job after 100
// sectors.
type slow struct {
	unread
	cancel context.CancelCauseFunc
}

var errStop = errors.New("stop")

func (s slow) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for i := range n / 512 {
			if i == 100 {
				s.cancel(errStop)
			}
			if i > 100 {
				s.t.Error("the walk continued after the job was cancelled")
				return
			}
			if !yield(image.Extent{Offset: off + 512*i, Length: 512, Kind: image.Hole}, nil) {
				return
			}
		}
	}
}

// TestWalksStop cancels every walk over a disk while it searches the end of a hole.
func TestWalksStop(t *testing.T) {
	o := EncryptOptions{LUKS: luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}}, RunOptions: RunOptions{Jobs: 1}}
	encrypt := func(ctx context.Context, src image.Source, f Format) error {
		o := o
		o.Format = f
		_, err := Encrypt(ctx, &limited{t: t, max: 1 << 62, size: 1 << 62}, src, []byte("x"), o)
		return err
	}
	convert := func(ctx context.Context, src image.Source, o DecryptOptions) error {
		_, err := Decrypt(ctx, &limited{t: t, max: 1 << 62, size: 1 << 62}, src, o)
		return err
	}
	for name, walk := range map[string]func(ctx context.Context, src image.Source) error{
		"luks2": func(ctx context.Context, src image.Source) error { return encrypt(ctx, src, LUKS2) },
		"qcow2": func(ctx context.Context, src image.Source) error { return encrypt(ctx, src, QCOW2) },
		"raw":   func(ctx context.Context, src image.Source) error { return convert(ctx, src, DecryptOptions{}) },
		"vhd": func(ctx context.Context, src image.Source) error {
			return convert(ctx, src, DecryptOptions{Format: VHD})
		},
		"fixed vhd": func(ctx context.Context, src image.Source) error {
			return convert(ctx, src, DecryptOptions{Format: VHD, Fixed: true})
		},
		"verify": func(ctx context.Context, src image.Source) error {
			return Verify(ctx, src, src, VerifyOptions{SkipZeros: true})
		},
		"verify all": func(ctx context.Context, src image.Source) error {
			return Verify(ctx, src, src, VerifyOptions{})
		},
		"stream": func(ctx context.Context, src image.Source) error {
			_, err := DecryptInOrder(ctx, io.Discard, src, DecryptOptions{})
			return err
		},
		"measure": func(ctx context.Context, src image.Source) error {
			_, err := Measure(ctx, src, EncryptOptions{Format: QCOW2})
			return err
		},
		"inspect": func(ctx context.Context, src image.Source) error {
			_, err := dataSize(ctx, src)
			return err
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := walk(ctx, slow{unread{t, 1 << 40}, cancel}); !errors.Is(err, errStop) {
			t.Errorf("%s: %v", name, err)
		}
		cancel(nil)
	}
}
