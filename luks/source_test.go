package luks_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

// TestSource runs the common checks of sources on volumes of both versions and with long sectors.
func TestSource(t *testing.T) {
	for _, o := range []luks.Options{{Version: 1}, {SectorSize: 512, DataOffset: 1 << 20}, {SectorSize: 4096, DataOffset: 1 << 20}} {
		t.Run(fmt.Sprint(o.Version, o.SectorSize), func(t *testing.T) {
			v, _ := format(t, 4<<20, o)
			want := random(3, int(v.Size()))
			if _, err := v.WriteAt(want, 0); err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, v, want)
		})
	}
}

// TestWriter runs the common checks of writers on streamed images of both versions.
func TestWriter(t *testing.T) {
	for _, o := range []luks.Options{{Version: 1}, {SectorSize: 512, DataOffset: 1 << 20}, {SectorSize: 4096, DataOffset: 1 << 20}} {
		o.KDF = cheap
		w := imagetest.Writer{Unit: max(int64(o.SectorSize), 512)}
		w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
			lw, err := luks.NewWriter(ctx, dst, passphrase, o)
			if err != nil {
				return 0, err
			}
			if _, err := io.Copy(lw, io.NewSectionReader(src, 0, src.Size())); err != nil {
				return 0, err
			}
			err = lw.Close()
			return dst.Size(), err
		}
		w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
			h, err := luks.Open(r, size, luks.OpenOptions{})
			if err != nil {
				return nil, err
			}
			return h.Unlock(context.Background(), passphrase)
		}
		w.Size = func(src image.Source) (int64, error) {
			l, err := o.Layout()
			return l.DataOffset + (src.Size()+w.Unit-1)/w.Unit*w.Unit, err
		}
		t.Run(fmt.Sprint(o.Version, o.SectorSize), func(t *testing.T) { imagetest.Writes(t, w) })
	}
}
