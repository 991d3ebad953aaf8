package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// An IncompleteError lists the shards that are missing or incomplete. Run them, and then call [Job.Finish] again.
type IncompleteError struct {
	Missing []int // numbers of the shards, from 0 on
	Shards  int   // number of shards in the job
}

func (e *IncompleteError) Error() string {
	if e.Shards == 1 {
		return "shard 0, the only one, is missing"
	}
	are := "are"
	if len(e.Missing) == 1 {
		are = "is"
	}
	return fmt.Sprintf("%d of %d shards %s missing: %s", len(e.Missing), e.Shards, are, numbers(e.Missing))
}

// Hint returns advice for a person.
func (e *IncompleteError) Hint() string {
	return "run them, and then finish the job again: existing parts are kept"
}

// numbers formats numbers as a list of ranges, of at most 20 entries.
func numbers(all []int) string {
	var text []string
	for i := 0; i < len(all); {
		k := i
		for k+1 < len(all) && all[k+1] == all[k]+1 {
			k++
		}
		switch {
		case len(text) == 20:
			return strings.Join(text, ", ") + " and more"
		case k == i:
			text = append(text, strconv.Itoa(all[i]))
		default:
			text = append(text, fmt.Sprintf("%d-%d", all[i], all[k]))
		}
		i = k + 1
	}
	return strings.Join(text, ", ")
}

// FinishOptions are the settings of [Job.Finish].
type FinishOptions struct {
	// Verify reads the whole image back and compares it with the checksums of its parts. If false, Finish reads
	// samples only.
	Verify bool
	// Progress, if not nil, is called with the number of bytes read since the last call, from several goroutines. It
	// must not block.
	Progress func(n int64)
}

// A FinishResult is the result of [Job.Finish].
type FinishResult struct {
	Already bool  // the image was finished before this call
	Size    int64 // of the image, in bytes
	Parts   int
	Read    int64 // bytes read back and compared
}

// Finish assembles the image from its parts, if all exist and match what the shards recorded. If shards are
// missing, the error is an [IncompleteError]. If a part differs from its record, or reads back differently, the
// error is [ErrReplaced], and no image remains. Finishing an image again is not an error.
func (j *Job) Finish(ctx context.Context, t Target, o FinishOptions) (*FinishResult, error) {
	r := &FinishResult{Size: j.Image.FileSize, Parts: j.Parts()}
	u, err := j.resume(ctx, t)
	if errors.Is(err, ErrGone) {
		return j.finishAgain(ctx, t, r, err, j.ended)
	}
	if err != nil {
		return nil, err
	}
	defer u.Close()
	err = j.finish(ctx, t, u, r, o)
	var incomplete *IncompleteError
	if errors.As(err, &incomplete) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		// Another process may have finished the job in the meantime.
		look := j.finished
		if errors.Is(err, fs.ErrNotExist) {
			err, look = fmt.Errorf("%w: %w", ErrGone, err), j.ended
		}
		return j.finishAgain(ctx, t, r, err, look)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// finish assembles the image and removes the records.
func (j *Job) finish(ctx context.Context, t Target, u Upload, r *FinishResult, o FinishOptions) error {
	s, err := j.look(ctx, t, u)
	if err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	// A file is compared before it gets its name. An object can be read only after it is complete.
	if f, ok := u.(io.ReaderAt); ok {
		if r.Read, err = j.compare(ctx, f, s.parts, o); err != nil {
			return err
		}
		if err := u.Complete(ctx, s.parts); err != nil {
			return err
		}
	} else if r.Read, err = j.completeFirst(ctx, t, u, s.parts, o); err != nil {
		return err
	}
	return t.Clear(ctx, j.recordNames())
}

// finishAgain completes the cleanup of an image that, as look reports, is already finished. If it is not, the error
// is why.
func (j *Job) finishAgain(ctx context.Context, t Target, r *FinishResult, why error, look func(context.Context, Target) (bool, error)) (*FinishResult, error) {
	finished, err := look(ctx, t)
	if err != nil || !finished {
		return nil, errors.Join(why, err)
	}
	r.Already, r.Read = true, 0
	return r, t.Clear(ctx, j.recordNames())
}

// completeFirst completes the image, reads it back, and removes it if it differs.
func (j *Job) completeFirst(ctx context.Context, t Target, u Upload, parts []Part, o FinishOptions) (int64, error) {
	if err := u.Complete(ctx, parts); err != nil {
		return 0, err
	}
	img, err := t.Open(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the image back: %w", err)
	}
	defer img.Close()
	n, err := j.compare(ctx, img, parts, o)
	if errors.Is(err, ErrReplaced) {
		err = errors.Join(err, t.Remove(context.WithoutCancel(ctx)))
	}
	return n, err
}

// samples is the number of parts whose starts are compared unless Verify is set.
const samples = 64

// compare reads parts back and compares them with their checksums.
func (j *Job) compare(ctx context.Context, r io.ReaderAt, parts []Part, o FinishOptions) (read int64, err error) {
	look := parts
	if !o.Verify {
		look = nil
		n := min(samples, len(parts))
		for i := range n {
			look = append(look, parts[i*(len(parts)-1)/max(n-1, 1)])
		}
	}
	var mu sync.Mutex
	const buffer = 1 << 20
	err = parallel.Run(ctx, 4, buffer, each(look), func(buf []byte, p Part) error {
		off, size := j.span(p.Number)
		want := p.SHA256
		if !o.Verify {
			size, want = min(size, startSize), p.Start
		}
		h := sha256.New()
		for at := int64(0); at < size; at += buffer {
			b := buf[:min(buffer, size-at)]
			if _, err := image.ReadFull(r, b, off+at); err != nil {
				return fmt.Errorf("reading the image back at %d: %w", off+at, err)
			}
			h.Write(b)
			if o.Progress != nil {
				o.Progress(int64(len(b)))
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		if hex.EncodeToString(h.Sum(nil)) != want {
			return fmt.Errorf("%w: part %d of shard %d, at byte %d of the image", ErrReplaced, p.Number, j.shardOf(p.Number), off)
		}
		mu.Lock()
		defer mu.Unlock()
		read += size
		return nil
	})
	return read, err
}

func each(parts []Part) func(yield func(Part, error) bool) {
	return func(yield func(Part, error) bool) {
		for _, p := range parts {
			if !yield(p, nil) {
				return
			}
		}
	}
}
