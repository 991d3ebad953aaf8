package xfs

import (
	"testing"

	"github.com/luksimg/luksimg/contents/internal/fstest"
)

// FuzzXFS changes bytes of golden images at places that are read.
func FuzzXFS(f *testing.F) {
	paths := []string{"/bin/cloud-init", "/etc/os-release", "/links/300", "/links/60", "/files/large", "/files/100", "/var/many", "/", "/var/many/x", "/var/block/x", "/var/leaf/x", "/var/scattered/x"}
	fstest.Fuzz(f, root, paths, goldenImage("xfs5"), goldenImage("xfs4"))
}
