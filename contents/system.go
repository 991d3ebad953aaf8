package contents

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/ext4"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/contents/internal/xfs"
)

// Paths in a Linux system.
var (
	// Every root filesystem has one of rootMarks.
	rootMarks = []string{"/etc/os-release", "/usr/lib/os-release", "/etc/fstab", "/etc/passwd"}

	// The program, and the configuration that comes with it.
	cloudInit = []string{"/usr/bin/cloud-init", "/bin/cloud-init", "/usr/local/bin/cloud-init", "/etc/cloud/cloud.cfg"}

	cloudInitOff = "/etc/cloud/cloud-init.disabled" // see the manual of cloud-init
)

// system finds the root filesystem and inspects it.
func (i *inspection) system() {
	// A filesystem that was not inspected can be the root, or a part of it.
	var closed []string
	look := func(p *Partition, f *Filesystem) bool {
		name := "the disk"
		if p != nil {
			name = fmt.Sprintf("partition %d", p.Number)
		}
		if f == nil {
			return false
		}
		if reason := notLookedInto(f.Type); reason != "" {
			closed = append(closed, name+" "+reason)
			return false
		}
		if !strings.HasPrefix(f.Type, "ext") && f.Type != "xfs" {
			return false
		}
		root, err := i.mount(i.part(p, fsBytes, fsReads), f.Type, name)
		found := false
		if err == nil {
			found, err = isRoot(root)
		}
		if err != nil {
			i.warnf("could not read the %s filesystem of %s: %v", f.Type, name, err)
			closed = append(closed, name+" could not be read")
		}
		if !found {
			return false
		}
		if p != nil {
			i.info.RootPartition = p.Number
		}
		i.look(root, name)
		return true
	}
	if i.info.PartitionTable == NoTable {
		if look(nil, i.info.Filesystem) {
			return
		}
	}
	for n := range i.info.Partitions {
		p := &i.info.Partitions[n]
		if look(p, p.Filesystem) {
			return
		}
	}
	i.info.CloudInit = Unknown
	i.info.CloudInitReason = "no root filesystem was found"
	if len(closed) > 0 {
		i.info.CloudInitReason += ": " + strings.Join(closed[:min(len(closed), 8)], ", ")
	}
}

// notLookedInto says why a filesystem that could contain the root is not inspected.
func notLookedInto(kind string) string {
	switch kind {
	case "lvm2":
		return "is LVM, which was not inspected"
	case "btrfs", "zfs", "mdraid", "squashfs", "iso9660", "udf":
		return "is " + kind + ", which was not inspected"
	case "luks1", "luks2", "bitlocker":
		return "is encrypted"
	}
	return ""
}

// mount returns the root directory of a filesystem.
func (i *inspection) mount(r *bounded.Reader, kind, name string) (tree.Node, error) {
	var warnings []string
	var root tree.Node
	if kind == "xfs" {
		f, err := xfs.Open(r)
		if err != nil {
			return nil, err
		}
		if root, err = f.Root(); err != nil {
			return nil, err
		}
		warnings = f.Warnings()
	} else {
		f, err := ext4.Open(r)
		if err != nil {
			return nil, err
		}
		if root, err = f.Root(); err != nil {
			return nil, err
		}
		warnings = f.Warnings()
	}
	for _, w := range warnings {
		i.warnf("%s: %s", name, w)
	}
	return root, nil
}

// isRoot reports whether a filesystem looks like the root of a system.
func isRoot(root tree.Node) (bool, error) {
	for _, path := range rootMarks {
		_, err := tree.Open(root, path)
		if err == nil {
			return true, nil
		}
		if !missing(err) {
			return false, err
		}
	}
	return false, nil
}

// missing reports whether a path does not exist, as opposed to not being readable. A loop of
// symbolic links counts as missing.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, tree.ErrLinks) }

// look inspects a root filesystem.
func (i *inspection) look(root tree.Node, name string) {
	const limit = 64 << 10
	read := func(path string) ([]byte, bool) {
		n, err := tree.Open(root, path)
		if err == nil && n.Kind() != tree.File {
			return nil, false
		}
		var b []byte
		if err == nil {
			b, err = n.Content(limit)
		}
		if err != nil {
			if !missing(err) {
				i.warnf("%s: could not read: %v", name, err)
			}
			return nil, false
		}
		return b, true
	}
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if b, ok := read(path); ok {
			i.info.OS = parseOSRelease(b)
			break
		}
	}
	if b, ok := read("/etc/fstab"); ok {
		i.info.HasFstab = true
		i.info.Mounts = parseFstab(b)
	}
	i.cloudInit(root, name)
}

// cloudInit finds out whether cloud-init is installed.
func (i *inspection) cloudInit(root tree.Node, name string) {
	info := &i.info
	info.CloudInit, info.CloudInitReason = NotFound, ""
	for _, path := range cloudInit {
		n, err := tree.Open(root, path)
		switch {
		case err == nil && n.Kind() == tree.File:
			info.CloudInit, info.CloudInitReason = Found, path
			if _, err := tree.Open(root, cloudInitOff); err == nil {
				i.warnf("%s: cloud-init is installed, but disabled by %s", name, cloudInitOff)
			}
			return
		case err != nil && !missing(err):
			i.warnf("%s: could not read: %v", name, err)
			info.CloudInit, info.CloudInitReason = Unknown, "the root filesystem could not be read"
		}
	}
	// If /usr is a separate filesystem, the program is there.
	for _, m := range info.Mounts {
		if info.CloudInit == NotFound && (m.Path == "/usr" || m.Path == "/etc") {
			info.CloudInit, info.CloudInitReason = Unknown, m.Path+" is a separate filesystem"
		}
	}
}
