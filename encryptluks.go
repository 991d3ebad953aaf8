package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// The functions below make images whose container is LUKS.

var (
	luks1Maker = maker{version: 1, sizes: luksSizes, encrypt: encryptLUKS, draw: drawLUKS, build: buildLUKS, describe: describeLUKS, identity: identifyLUKS}
	luks2Maker = maker{version: 2, sizes: luksSizes, encrypt: encryptLUKS, draw: drawLUKS, build: buildLUKS, describe: describeLUKS, identity: identifyLUKS}
)

// maxDisk bounds the size of a disk. It is far above any real size and prevents overflows.
const maxDisk = 1 << 62

func luksSizes(p *plan, size int64, _ *engine.Units) (Sizes, error) {
	l, err := p.luks.Layout()
	if err != nil {
		return Sizes{}, err
	}
	if size < 0 || size > maxDisk {
		return Sizes{}, fmt.Errorf("a disk of %d bytes is too large", size)
	}
	s := Sizes{Source: size, File: p.rules.fileSize(size, l)}
	s.Volume = s.File - l.DataOffset
	if p.luks.Detached {
		s.Header = l.HeaderSize
	}
	return s, nil
}

// A luksJob is a prepared encryption: its header is made and its key derived.
type luksJob struct {
	*plan
	header  *luks.Header
	volume  *luks.Volume
	digests *engine.Digests
}

// newLUKSJob makes the header and derives the key.
func newLUKSJob(ctx context.Context, p *plan, passphrase []byte) (*luksJob, error) {
	h, key, err := luks.New(ctx, passphrase, p.luks)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	j := &luksJob{plan: p, header: h}
	if p.digest {
		j.digests = engine.NewDigests()
	}
	j.volume, err = h.Volume(ctx, nil, 0, key)
	return j, err
}

func encryptLUKS(ctx context.Context, p *plan, dst io.WriterAt, src image.Source, key []byte) (*Result, error) {
	j, err := newLUKSJob(ctx, p, key)
	if err != nil {
		return nil, err
	}
	defer j.volume.Close()
	return j.writeFile(ctx, dst, src)
}

// writeFile encrypts the disk and then writes the header.
func (j *luksJob) writeFile(ctx context.Context, dst io.WriterAt, src image.Source) (*Result, error) {
	r, err := j.result(src.Size())
	if err != nil {
		return nil, err
	}
	if err := j.hashHeader(); err != nil {
		return nil, err
	}
	if err := j.job(src, r).WriteFile(ctx, dst); err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = j.digests.Sums()
	if j.plan.header != nil {
		return r, j.writeDetached()
	}
	return r, j.header.WriteHeader(dst)
}

// writeStream writes the header and encrypts the disk in order.
func (j *luksJob) writeStream(ctx context.Context, dst io.Writer, src image.Source) (*Result, error) {
	r, err := j.result(src.Size())
	if err != nil {
		return nil, err
	}
	if err := j.writeHeader(dst); err != nil {
		return nil, err
	}
	if err := j.job(src, r).WriteStream(ctx, dst); err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = j.digests.Sums()
	return r, nil
}

// copy writes the header and encrypts all of src.
func (j *luksJob) copy(ctx context.Context, dst io.Writer, src io.Reader) (*Result, error) {
	if err := j.writeHeader(dst); err != nil {
		return nil, err
	}
	var r *Result
	err := j.job(nil, &Result{}).Copy(ctx, dst, src, j.header.SectorSize(), func(size int64) (_ int64, err error) {
		if r, err = j.result(size); err != nil {
			return 0, err
		}
		return r.VolumeSize, nil
	})
	if err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = j.digests.Sums()
	return r, nil
}

// job returns the job for the engine.
func (j *luksJob) job(src image.Source, r *Result) engine.Encryption {
	return engine.Encryption{Source: src, Volume: j.volume, Length: r.VolumeSize, Offset: j.header.DataOffset(), Size: r.FileSize,
		Sparse: j.sparse, Digests: j.digests, Workers: j.workers}
}

// result returns the result for a disk of size bytes.
func (j *luksJob) result(size int64) (*Result, error) {
	s, err := luksSizes(j.plan, size, nil)
	if err != nil {
		return nil, err
	}
	info := j.header.Info()
	return &Result{Format: j.format, LUKS: info, Cipher: info.Cipher, KeyBits: info.KeyBits, UUID: info.UUID,
		SourceSize: s.Source, VolumeSize: s.Volume, FileSize: s.File}, nil
}

// writeHeader writes the header in front of the data, or to its own file.
func (j *luksJob) writeHeader(dst io.Writer) error {
	if err := j.hashHeader(); err != nil {
		return err
	}
	if j.plan.header != nil {
		return j.writeDetached()
	}
	_, err := j.header.WriteTo(dst)
	return err
}

// writeDetached writes the header with its gaps to its own file.
func (j *luksJob) writeDetached() error {
	_, err := j.header.WriteTo(io.NewOffsetWriter(j.plan.header, 0))
	return err
}

// hashHeader starts the digest of the file if it was requested. A detached header is not part of the
// file.
func (j *luksJob) hashHeader() error {
	if j.digests == nil || j.plan.header != nil {
		return nil
	}
	_, err := j.header.WriteTo(j.digests.File())
	return err
}
