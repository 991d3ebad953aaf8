package luksimg

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/luksimg/luksimg/luks"
)

// A Profile is the way one cloud wants its encrypted images: the container, its
// layout, and what the key text means.
type Profile string

// ClassicLUKS is IBM Cloud classic infrastructure (SoftLayer) with end-to-end
// encryption: a raw LUKS1 file, aes-xts-plain64 and sha256, data at 2 MiB, the
// file 4 MiB longer than the disk and rounded up to the next MiB. The passphrase is
// the base64 text of the data encryption key: 32 to 512 characters, one line,
// without a newline. Encrypted zeros fill what is past the end of the disk.
const ClassicLUKS Profile = "classic-luks"

const (
	classicOverhead = 4 << 20
	classicOffset   = 2 << 20
	classicAlign    = 1 << 20
	classicMinKey   = 32
	classicMaxKey   = 512
)

// apply returns o with what the profile asks for, or says what in o goes against it.
func (p Profile) apply(o luks.Options) (luks.Options, error) {
	switch p {
	case "":
		return o, nil
	case ClassicLUKS:
	default:
		return o, fmt.Errorf("no such profile: %q", p)
	}
	if o.Version > 1 {
		return o, fmt.Errorf("profile %s is LUKS1, not LUKS%d", p, o.Version)
	}
	if o.Hash != "" && o.Hash != "sha256" {
		return o, fmt.Errorf("profile %s has the hash sha256, not %s", p, o.Hash)
	}
	if o.DataOffset != 0 && o.DataOffset != classicOffset {
		return o, fmt.Errorf("profile %s has its data at byte %d, not %d", p, classicOffset, o.DataOffset)
	}
	o.Version, o.DataOffset = 1, classicOffset
	o.GeneratedKey = true // the key is one by definition
	return o, nil
}

// CheckKey tells whether key follows the rule of the profile, and if not, what is
// wrong with it, as an [ErrKey]. The error holds nothing of the key.
func (p Profile) CheckKey(key []byte) error {
	if p != ClassicLUKS {
		return nil
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w %s: %s", ErrKey, p, fmt.Sprintf(format, args...))
	}
	if bytes.HasSuffix(key, []byte("\n")) {
		return wrong("it ends with a newline, which would become a part of the passphrase")
	}
	if i := bytes.IndexAny(key, "\r\n"); i >= 0 {
		return wrong("it has a line break after %d characters; it must be one line", i)
	}
	if len(key) < classicMinKey || len(key) > classicMaxKey {
		return wrong("it has %d characters; there must be from %d to %d", len(key), classicMinKey, classicMaxKey)
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(key)))
	defer clear(decoded)
	if _, err := base64.StdEncoding.Strict().Decode(decoded, key); err != nil {
		return wrong("it is not base64 text, as the data encryption key must be")
	}
	return nil
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
