package luksimg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// A Profile is the way one cloud wants its encrypted images: the container, its
// layout, and what the key text means.
type Profile string

const (
	// ClassicLUKS is IBM Cloud classic infrastructure (SoftLayer) with end-to-end
	// encryption: a raw LUKS1 file, aes-xts-plain64 and sha256, data at 2 MiB,
	// the file 4 MiB longer than the disk and rounded up to the next MiB. The passphrase is
	// the base64 text of the data encryption key: 32 to 512 characters, one line, without a
	// newline. Encrypted zeros fill what is past the end of the disk.
	ClassicLUKS Profile = "classic-luks"

	// ClassicVHD is what is documented for the same cloud since 2019: a dynamic VHD
	// whose sectors are encrypted as vhd-util of XenServer does. The key is the 32 bytes
	// (AES-128) or 64 bytes (AES-256) themselves; their base64 text is wrapped.
	ClassicVHD Profile = "classic-vhd"

	// VPCQCOW2 is a custom image of IBM Cloud VPC: qcow2 with LUKS1 inside. The passphrase is
	// UTF-8 text on one line; the base64 of that text is wrapped.
	VPCQCOW2 Profile = "vpc-qcow2"
)

// Rules are what a profile says of an image. The zero value says nothing.
type Rules struct {
	Format     Format          // the container
	Convention wrap.Convention // what a key must be, and what of it is wrapped
	Target     string          // the cloud, as package deploy names it: "classic" or "vpc"

	// Extension is what the name of a file ends in: the cloud tells the format by it.
	// AtUpload tells that a file may get that name when it is uploaded. ObjectSuffix is the
	// end of a name that is made for an object.
	Extension    string
	AtUpload     bool
	ObjectSuffix string

	MaxDisk int64 // bytes; the cloud takes no disk that is larger
	MinDisk int64 // bytes; the cloud makes a smaller disk that large

	DataOffset int64 // of LUKS in bytes, 0 if any will do
	Overhead   int64 // of the file over the disk in bytes; 0 if it is as long as the format needs
	Align      int64 // of the length of the file in bytes, with Overhead
}

// profiles is the table of all profiles. Sizes are those of IBM Cloud's pages about importing an
// image, and about custom images of VPC.
var profiles = map[Profile]Rules{
	ClassicLUKS: {Format: LUKS1, Convention: wrap.ClassicLUKS, Target: "classic", Extension: ".raw", AtUpload: true, ObjectSuffix: ".raw",
		MaxDisk: 100 << 30, DataOffset: 2 << 20, Overhead: 4 << 20, Align: 1 << 20},
	ClassicVHD: {Format: VHD, Convention: wrap.ClassicVHD, Target: "classic", Extension: ".vhd", ObjectSuffix: ".vhd-0.vhd", MaxDisk: 100 << 30},
	VPCQCOW2:   {Format: QCOW2, Convention: wrap.VPCQCOW2, Target: "vpc", Extension: ".qcow2", ObjectSuffix: ".qcow2", MaxDisk: 250 << 30, MinDisk: 10 << 30},
}

// Profiles returns all profiles, sorted by name.
func Profiles() []Profile { return slices.Sorted(maps.Keys(profiles)) }

// profileNames returns the names of all profiles.
func profileNames() (names []string) {
	for _, p := range Profiles() {
		names = append(names, string(p))
	}
	return names
}

// Rules returns what the profile says; the zero value for "" and what is no profile.
func (p Profile) Rules() Rules { return profiles[p] }

// CheckName tells whether the cloud takes a file of this name, without folders.
func (p Profile) CheckName(name string) error {
	end := p.Rules().Extension
	if !strings.HasSuffix(name, end) {
		return fmt.Errorf("%w: the cloud tells the format by the name, which must end in %q for profile %s", ErrProfile, end, p)
	}
	if strings.ContainsAny(name, "?#%&+ ") && p != "" {
		return fmt.Errorf("%w: the name has characters that mean something in a URL, which profile %s can not have", ErrProfile, p)
	}
	return nil
}

// CheckKey tells whether key follows the rule of the profile, and if not, what is
// wrong with it, as an [ErrKey]. The error holds nothing of the key.
func (p Profile) CheckKey(key []byte) error {
	if p == "" {
		return nil
	}
	err := p.Rules().Convention.Check(key)
	if wrong := new(wrap.KeyError); errors.As(err, &wrong) {
		return fmt.Errorf("%w %s: %s", ErrKey, p, wrong.Reason)
	}
	return err
}

// Notes tells what the cloud will make of a disk of size bytes, a sentence each.
func (p Profile) Notes(size int64) []string {
	if least := p.Rules().MinDisk; size < least {
		return []string{fmt.Sprintf("the cloud rounds the disk up to %d GiB", least>>30)}
	}
	return nil
}

// checkSize tells whether the cloud takes a disk of size bytes.
func (p Profile) checkSize(size int64) error {
	if limit := p.Rules().MaxDisk; limit > 0 && size > limit {
		return fmt.Errorf("%w: profile %s takes up to %d GiB, and the disk has %d bytes", ErrProfile, p, limit>>30, size)
	}
	return nil
}

// luks returns o with what the profile asks for, or says what in o goes against it.
func (p Profile) luks(o luks.Options) (luks.Options, error) {
	r := p.Rules()
	switch {
	case p == "" || r.Format == VHD:
		return o, nil
	case o.Version > 1:
		return o, fmt.Errorf("profile %s is LUKS1, not LUKS%d", p, o.Version)
	case o.Hash != "" && o.Hash != "sha256":
		return o, fmt.Errorf("profile %s has the hash sha256, not %s", p, o.Hash)
	case r.DataOffset != 0 && o.DataOffset != 0 && o.DataOffset != r.DataOffset:
		return o, fmt.Errorf("profile %s has its data at byte %d, not %d", p, r.DataOffset, o.DataOffset)
	}
	o.Version = 1
	o.GeneratedKey = true // the key is one by definition
	if r.DataOffset != 0 {
		o.DataOffset = r.DataOffset
	}
	return o, nil
}

// fileSize returns the length of a LUKS image of a disk of size bytes.
func (r Rules) fileSize(size int64, l luks.Layout) int64 {
	if r.Overhead == 0 {
		return l.DataOffset + roundUp(size, int64(l.SectorSize))
	}
	return roundUp(size+r.Overhead, r.Align)
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
