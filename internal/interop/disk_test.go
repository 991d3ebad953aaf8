package interop_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/luksimg/luksimg/internal/interop"
)

// TestDisks checks the test disks and their conversions, which all comparisons rely on.
func TestDisks(t *testing.T) {
	t.Parallel()
	interop.Need(t, "mke2fs", "sfdisk", "qemu-img")
	for _, d := range []interop.Disk{interop.MBRDisk(t), interop.GPTDisk(t), interop.WholeDisk(t)} {
		t.Run(d.Name, func(t *testing.T) {
			assert.Equal(t, d.Size, interop.FileSize(t, d.Path))
			want := d.SHA256(t, d.Size)
			assert.Equal(t, want, interop.FileSHA256(t, d.Path))
			assert.NotEqual(t, want, d.SHA256(t, d.Size+512))
			for _, subformat := range []string{"fixed", "dynamic"} {
				raw := filepath.Join(t.TempDir(), "raw")
				interop.Must(t, "qemu-img", "convert", "-f", "vpc", "-O", "raw", d.VHD(t, subformat), raw)
				assert.Equal(t, want, interop.FileSHA256(t, raw), subformat)
			}
		})
	}
}
