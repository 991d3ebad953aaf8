package image

import "context"

// PushUnit is the alignment of the parts that a [Pusher] delivers, in bytes. It is a multiple of
// every supported sector size.
const PushUnit = 4096

// A Pusher is a [Source] that delivers its whole content faster in its own order than through reads
// at offsets. An example is a source that decodes several parts at once.
type Pusher interface {
	Source

	// CanPush reports whether Push is faster than reading at offsets.
	CanPush() bool

	// Push calls do once for each part of the source, from at most workers goroutines. A part
	// starts at a multiple of [PushUnit], and ends at one or at the end of the source. do must not
	// change p, nor keep it after it returns. Push stops at the first error and returns it. When
	// ctx is done, Push returns its cause.
	Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error
}

// AsPusher returns src as a Pusher if pushing is the faster way to read all of it.
func AsPusher(src Source) (Pusher, bool) {
	p, ok := src.(Pusher)
	return p, ok && p.CanPush()
}
