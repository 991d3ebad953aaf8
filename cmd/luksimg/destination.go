package main

import (
	"cmp"
	"context"
	"io"
	"os"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/stdio"
)

// A destination is the output of encrypt: a file, standard output, or an object.
type destination struct {
	at     io.WriterAt // nil if the output is written in order
	stream io.Writer   // nil if the output needs seeking

	commit func() error
	abort  func()
	remove func() error // undoes commit, unless commit replaced a file

	// readBack opens the written output. late means that this is possible only after commit, as for an object.
	readBack func() (r image.Source, close func(), err error)
	late     bool

	size int64 // the size that was announced, or 0
}

// check returns an error if the image does not have the announced size.
func (d *destination) check(r *luksimg.Result) error {
	if d.size != 0 && r.FileSize != d.size {
		return image.ErrChanged
	}
	return nil
}

// destination opens DST. An object that is not written in order needs its size in advance. For a VHD or qcow2 image,
// SRC is therefore read twice.
func (o *encryptFlags) destination(ctx context.Context, t *talk.Talk, dst string, s *diskSource, opts luksimg.EncryptOptions) (*destination, error) {
	if dst == "-" {
		stdio.Widen(os.Stdout)
		return &destination{stream: os.Stdout, commit: stdio.SyncStdout, abort: func() {}, remove: func() error { return nil }}, nil
	}
	if isCOS(dst) {
		return o.object(ctx, t, dst, s, opts)
	}
	f, err := output.Create(dst, 0o666, o.force)
	if err != nil {
		return nil, err
	}
	return &destination{
		at: f, stream: f, commit: f.Commit, abort: f.Abort,
		remove: func() error { f.Remove(); return nil },
		readBack: func() (image.Source, func(), error) {
			r, err := written(f)
			return r, func() {}, err
		},
	}, nil
}

func (o *encryptFlags) object(ctx context.Context, t *talk.Talk, dst string, s *diskSource, opts luksimg.EncryptOptions) (*destination, error) {
	at, client, err := o.cloud.object(ctx, dst)
	if err != nil {
		return nil, err
	}
	if err := o.checkPlace(ctx, client, at, cos.PlaceOptions{Replace: o.force}); err != nil {
		return nil, err
	}
	// Uploads of a run that was killed cost money but appear in no list of objects.
	if ids, err := client.Unfinished(ctx, at); err == nil && len(ids) > 0 {
		t.Warn("%s: %d unfinished uploads of this object take up storage; luksimg upload --abort - %s removes them", at, len(ids), at)
	}
	d := &destination{
		late: true,
		// Remove the object even after a cancellation.
		remove: func() error { return client.Delete(context.WithoutCancel(ctx), at) },
		readBack: func() (image.Source, func(), error) {
			r, err := client.Open(ctx, at)
			if err != nil {
				return nil, nil, err
			}
			return r, func() { r.Close() }, nil
		},
	}
	if s.disk() == nil {
		w, err := client.NewWriter(ctx, at, cos.StreamOptions{})
		if err != nil {
			return nil, err
		}
		d.stream, d.commit, d.abort = w, w.Close, func() { w.Abort() }
		return d, nil
	}
	sizes, err := luksimg.Measure(ctx, s.disk(), opts)
	if err != nil {
		return nil, err
	}
	d.size = sizes.File
	// Each worker can have one or two unfinished parts. The header comes last.
	sink := cos.SinkOptions{Open: max(16, 2*opts.Jobs+4)}
	// The blocks of a VHD are separated by gaps.
	sink.Gaps = cmp.Or(opts.Format, opts.Profile.Rules().Format) == luksimg.VHD
	k, err := client.NewSink(ctx, at, d.size, sink)
	if err != nil {
		return nil, err
	}
	d.at, d.commit, d.abort = k, k.Close, func() { k.Abort() }
	return d, nil
}
