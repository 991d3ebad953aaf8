package ext4

import (
	"testing"

	"github.com/luksimg/luksimg/contents/internal/fstest"
)

// FuzzExt4 changes bytes of golden images at places that are read.
func FuzzExt4(f *testing.F) {
	paths := []string{"/bin/cloud-init", "/etc/os-release", "/links/300", "/links/60", "/files/large", "/files/100", "/var/many", "/", "/files/comb", "/var/many/x"}
	fstest.Fuzz(f, root, paths, goldenImage("comb"), goldenImage("ext2"), goldenImage("ext4"))
}
