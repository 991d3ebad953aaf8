package main

import (
	"errors"
	"path/filepath"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/shard"
)

// stamp identifies this version of the file.
func (in *input) stamp() shard.Stamp {
	return shard.Stamp{Size: in.published(), Time: in.mtime.UTC(), ETag: in.etag}
}

// reading returns the flags that affect how the disk is read, for the job.
func (o *sourceFlags) reading(f luksimg.Format) shard.Reading {
	u := o.unpack
	return shard.Reading{Format: string(f), Snapshot: o.snapshot, Member: u.member, OCIImage: u.ociImage, NoUnpack: u.never, MaxSize: u.max.N, MaxWindow: u.window.N}
}

// take sets the flags from a job, so that the disk is read as when it was planned.
func (o *sourceFlags) take(r shard.Reading) {
	o.format, o.snapshot = r.Format, r.Snapshot
	o.unpack = unpackFlags{never: r.NoUnpack, member: r.Member, ociImage: r.OCIImage, random: true, shared: true}
	o.unpack.max.N, o.unpack.window.N = r.MaxSize, r.MaxWindow
}

// errShared is a source that each machine would have to unpack as a whole.
var errShared = rest.WithHint(errors.New("reading a part of it requires unpacking all of it, on each machine"),
	"unpack it first, or pack it so that it can be read by parts: xz --block-size=16MiB, zstd in the seekable format, qcow2")

// isAbs reports whether a name is an absolute path, by which all machines know a file.
func isAbs(name string) bool {
	if isLayout(name) {
		name = layoutFolder(name)
	}
	return filepath.IsAbs(name)
}
