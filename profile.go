package luksimg

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/luksimg/luksimg/luks"
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

// Profiles are all there are.
var Profiles = []Profile{ClassicLUKS, ClassicVHD, VPCQCOW2}

const (
	classicOverhead = 4 << 20
	classicOffset   = 2 << 20
	classicAlign    = 1 << 20
	classicMinKey   = 32
	maxKeyText      = 512

	maxClassicDisk = 100 << 30 // IBM Cloud: importing an image, 100 GB
	maxVPCDisk     = 250 << 30 // IBM Cloud VPC: custom images, 250 GB
	minVPCDisk     = 10 << 30  // what is less is rounded up there
)

// format returns the container of the profile, "" if it has none.
func (p Profile) format() Format {
	return map[Profile]Format{ClassicLUKS: LUKS1, ClassicVHD: VHD, VPCQCOW2: QCOW2}[p]
}

// apply returns o with what the profile asks for, or says what in o goes against it.
func (p Profile) apply(o luks.Options) (luks.Options, error) {
	switch p {
	case "", ClassicVHD:
		return o, nil
	case ClassicLUKS, VPCQCOW2:
	default:
		return o, fmt.Errorf("no such profile: %q", p)
	}
	if o.Version > 1 {
		return o, fmt.Errorf("profile %s is LUKS1, not LUKS%d", p, o.Version)
	}
	if o.Hash != "" && o.Hash != "sha256" {
		return o, fmt.Errorf("profile %s has the hash sha256, not %s", p, o.Hash)
	}
	o.Version = 1
	o.GeneratedKey = true // the key is one by definition
	if p == VPCQCOW2 {
		return o, nil
	}
	if o.DataOffset != 0 && o.DataOffset != classicOffset {
		return o, fmt.Errorf("profile %s has its data at byte %d, not %d", p, classicOffset, o.DataOffset)
	}
	o.DataOffset = classicOffset
	return o, nil
}

// CheckSize tells whether the cloud takes a disk of size bytes.
func (p Profile) CheckSize(size int64) error {
	limit := map[Profile]int64{ClassicLUKS: maxClassicDisk, ClassicVHD: maxClassicDisk, VPCQCOW2: maxVPCDisk}[p]
	if limit > 0 && size > limit {
		return fmt.Errorf("%w: profile %s takes up to %d GiB, and the disk has %d bytes", ErrProfile, p, limit>>30, size)
	}
	return nil
}

// CheckName tells whether the cloud takes a file of this name, without folders.
func (p Profile) CheckName(name string) error {
	for profile, end := range map[Profile]string{ClassicLUKS: ".raw", ClassicVHD: ".vhd", VPCQCOW2: ".qcow2"} {
		if p == profile && !strings.HasSuffix(name, end) {
			return fmt.Errorf("%w: the cloud tells the format by the name, which must end in %q for profile %s", ErrProfile, end, p)
		}
	}
	if strings.ContainsAny(name, "?#%&+ ") && p != "" {
		return fmt.Errorf("%w: the name has characters that mean something in a URL, which profile %s can not have", ErrProfile, p)
	}
	return nil
}

// Notes tells what the cloud will make of a disk of size bytes, a sentence each.
func (p Profile) Notes(size int64) []string {
	if p == VPCQCOW2 && size < minVPCDisk {
		return []string{fmt.Sprintf("the cloud rounds the disk up to %d GiB", minVPCDisk>>30)}
	}
	return nil
}

// CheckKey tells whether key follows the rule of the profile, and if not, what is
// wrong with it, as an [ErrKey]. The error holds nothing of the key.
func (p Profile) CheckKey(key []byte) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w %s: %s", ErrKey, p, fmt.Sprintf(format, args...))
	}
	switch p {
	case "":
		return nil
	case ClassicVHD:
		if len(key) != 32 && len(key) != 64 {
			hint := ""
			if n := base64.RawStdEncoding.DecodedLen(len(bytes.TrimRight(key, "=\r\n"))); n == 32 || n == 64 {
				hint = "; if it is the base64 text of the key, decode it first"
			}
			return wrong("it has %d bytes; there must be 32 (AES-128) or 64 (AES-256)%s", len(key), hint)
		}
		return nil
	}
	if bytes.HasSuffix(key, []byte("\n")) {
		return wrong("it ends with a newline, which would become a part of the passphrase")
	}
	if i := bytes.IndexAny(key, "\r\n"); i >= 0 {
		return wrong("it has a line break after %d characters; it must be one line", i)
	}
	if p == VPCQCOW2 {
		if len(key) == 0 || len(key) > maxKeyText || !utf8.Valid(key) || bytes.IndexByte(key, 0) >= 0 {
			return wrong("it must be UTF-8 text of 1 to %d bytes, and this is something else of %d bytes", maxKeyText, len(key))
		}
		return nil
	}
	if len(key) < classicMinKey || len(key) > maxKeyText {
		return wrong("it has %d characters; there must be from %d to %d", len(key), classicMinKey, maxKeyText)
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(key)))
	defer clear(decoded)
	if _, err := base64.StdEncoding.Strict().Decode(decoded, key); err != nil {
		return wrong("it is not base64 text, as the data encryption key must be")
	}
	return nil
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
