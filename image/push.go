package image

import "context"

// PushUnit is what the parts that a [Pusher] gives begin and end at a multiple of, in bytes: it is one of
// all sizes of sectors.
const PushUnit = 4096

// A Pusher is a [Source] that is faster in giving all of itself in an order of its own than in being read
// at offsets, such as one whose parts are decoded side by side.
type Pusher interface {
	Source

	// CanPush tells whether that is so.
	CanPush() bool

	// Push calls do for each part of the source once, from as many goroutines as workers says at most.
	// A part begins at a multiple of [PushUnit], and ends at one or at the end of the source. p must not
	// be changed, nor used when do has returned. Push ends at the first error, which it returns, or when
	// ctx is done, whose cause it returns.
	Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error
}

// AsPusher returns src as a Pusher, if that is the faster way to read all of it.
func AsPusher(src Source) (Pusher, bool) {
	p, ok := src.(Pusher)
	return p, ok && p.CanPush()
}
