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

// A Profile is the kind of encrypted image that one cloud accepts: its container, its layout, and the
// meaning of the key text.
type Profile string

const (
	// ClassicLUKS is for IBM Cloud classic infrastructure (SoftLayer) with end-to-end encryption. The
	// image is a raw LUKS1 file with aes-xts-plain64, sha256 and its data at 2 MiB. The file is 4 MiB
	// longer than the disk, rounded up to the next MiB. Encrypted zeros fill the space past the end of
	// the disk. The passphrase is the base64 text of the data encryption key: 32 to 512 characters,
	// one line, without a newline.
	ClassicLUKS Profile = "classic-luks"

	// ClassicVHD is what IBM documents for the same cloud since 2019: a dynamic VHD whose sectors are
	// encrypted as XenServer's vhd-util does. The key is the 32 bytes (AES-128) or 64 bytes (AES-256)
	// themselves; their base64 text is wrapped.
	ClassicVHD Profile = "classic-vhd"

	// VPCQCOW2 is a custom image of IBM Cloud VPC: qcow2 with LUKS1 inside. The passphrase is
	// UTF-8 text on one line; the base64 of that text is wrapped.
	VPCQCOW2 Profile = "vpc-qcow2"
)

// Rules are the rules of a profile. The zero value has no rules.
type Rules struct {
	Format     Format          // the container
	Convention wrap.Convention // the form of a key, and the part that is wrapped
	Target     string          // the cloud, as package deploy names it: "classic" or "vpc"

	// Extension is the required end of a file name: the cloud derives the format from it. AtUpload
	// means that the file can have another name, because the upload can give the object the required
	// one. ObjectSuffix is the end of a generated object name.
	Extension    string
	AtUpload     bool
	ObjectSuffix string

	MaxDisk int64 // bytes; the cloud refuses a larger disk
	MinDisk int64 // bytes; the cloud enlarges a smaller disk

	DataOffset int64 // of LUKS in bytes, 0 for any
	Overhead   int64 // bytes by which the file is longer than the disk; 0 means what the format needs
	Align      int64 // the file length is rounded up to a multiple, in bytes, if Overhead is set
}

// profiles is the table of all profiles. The sizes are from IBM Cloud's documentation of image import
// and of VPC custom images.
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

// Rules returns the rules of the profile, the zero value if p is "" or unknown.
func (p Profile) Rules() Rules { return profiles[p] }

// CheckName checks that the cloud accepts a file name, given without folders. The error is
// [ErrProfile].
func (p Profile) CheckName(name string) error {
	end := p.Rules().Extension
	if !strings.HasSuffix(name, end) {
		return fmt.Errorf("%w: profile %s requires a file name that ends in %q", ErrProfile, p, end)
	}
	if strings.ContainsAny(name, "?#%&+ ") && p != "" {
		return fmt.Errorf("%w: profile %s does not allow ?, #, %%, &, + or a space in the file name", ErrProfile, p)
	}
	return nil
}

// CheckKey checks key against the rule of the profile. The error is [ErrKey] and contains no part of
// the key.
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

// Notes describes what the cloud will do with a disk of size bytes, one sentence each.
func (p Profile) Notes(size int64) []string {
	if least := p.Rules().MinDisk; size < least {
		return []string{fmt.Sprintf("the cloud rounds the disk up to %d GiB", least>>30)}
	}
	return nil
}

// checkSize checks that the cloud accepts a disk of size bytes.
func (p Profile) checkSize(size int64) error {
	if limit := p.Rules().MaxDisk; limit > 0 && size > limit {
		return fmt.Errorf("%w: profile %s allows up to %d GiB, the disk has %d bytes", ErrProfile, p, limit>>30, size)
	}
	return nil
}

// luks returns o with the settings of the profile, or an error if o conflicts with them.
func (p Profile) luks(o luks.Options) (luks.Options, error) {
	r := p.Rules()
	switch {
	case p == "" || r.Format == VHD:
		return o, nil
	case o.Version > 1:
		return o, fmt.Errorf("profile %s requires LUKS1, not LUKS%d", p, o.Version)
	case o.Hash != "" && o.Hash != "sha256":
		return o, fmt.Errorf("profile %s requires the hash sha256, not %s", p, o.Hash)
	case r.DataOffset != 0 && o.DataOffset != 0 && o.DataOffset != r.DataOffset:
		return o, fmt.Errorf("profile %s requires its data at byte %d, not %d", p, r.DataOffset, o.DataOffset)
	}
	o.Version = 1
	o.GeneratedKey = true // the profile requires a generated key
	if r.DataOffset != 0 {
		o.DataOffset = r.DataOffset
	}
	return o, nil
}

// fileSize returns the length of the LUKS image of a disk of size bytes.
func (r Rules) fileSize(size int64, l luks.Layout) int64 {
	if r.Overhead == 0 {
		return l.DataOffset + roundUp(size, int64(l.SectorSize))
	}
	return roundUp(size+r.Overhead, r.Align)
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
