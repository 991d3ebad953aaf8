package luksimg

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/luks"
)

// ReencryptOptions say what [Reencrypt] makes. The zero value is a LUKS2 image with the sector
// size, the labels and the flags of its source.
type ReencryptOptions struct {
	// EncryptOptions are those of the new image, of format LUKS1 or LUKS2. A sector size of zero,
	// and labels that are "", stand for those of the source.
	EncryptOptions

	// NoLabel and NoSubsystem leave these labels out.
	NoLabel, NoSubsystem bool

	// Keys are the passphrases of more key slots, which are made as KeyOptions say.
	Keys       [][]byte
	KeyOptions luks.KeyOptions
}

// Keep makes the options those of a copy of src, as [Reencrypt] does, and returns what a copy has
// no room for, in words. An error is what [Reencrypt] would refuse.
func (o *ReencryptOptions) Keep(src luks.Info) (dropped []string, err error) {
	for _, t := range src.Tokens {
		dropped = append(dropped, fmt.Sprintf("token %d (%q)", t.Number, t.Type))
	}
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	lo := &o.LUKS
	switch p.format {
	case LUKS1:
		for name, value := range map[string]string{"label": src.Label, "subsystem": src.Subsystem, "flags": strings.Join(src.Flags, " ")} {
			if value != "" {
				dropped = append(dropped, fmt.Sprintf("%s %q", name, value))
			}
		}
		if src.SectorSize != max(lo.SectorSize, 512) {
			dropped = append(dropped, fmt.Sprintf("sectors of %d bytes", src.SectorSize))
		}
		slices.Sort(dropped)
	case LUKS2:
		if lo.SectorSize == 0 {
			lo.SectorSize = src.SectorSize
		}
		if lo.Label == "" && !o.NoLabel {
			lo.Label = src.Label
		}
		if lo.Subsystem == "" && !o.NoSubsystem {
			lo.Subsystem = src.Subsystem
		}
		lo.Flags = src.Flags
	default:
		return nil, fmt.Errorf("a copy of a LUKS image is LUKS1 or LUKS2, not %s", p.format)
	}
	return dropped, o.Check()
}

// Reencrypt writes what is in a LUKS image to another one, which has a new volume key: who had a
// key of the old one may have kept that. header is that of the image, and src what is in it. The
// new image in dst opens with the passphrase, and with o.Keys. Tokens and other key slots are not
// copied. See [Encrypt] for what else is asked of dst.
func Reencrypt(ctx context.Context, dst luks.File, header *luks.Header, src *luks.Volume, passphrase []byte, o ReencryptOptions) (*Result, error) {
	if _, err := o.Keep(header.Info()); err != nil {
		return nil, err
	}
	r, err := Encrypt(ctx, dst, src, passphrase, o.EncryptOptions)
	if err != nil || len(o.Keys) == 0 {
		return r, err
	}
	e, err := luks.Edit(dst, r.FileSize, luks.OpenOptions{MaxWork: math.MaxUint64}) // the cost was asked for
	if err != nil {
		return nil, err
	}
	volumeKey, _, err := e.Header().VolumeKey(ctx, passphrase, luks.AnySlot)
	if err != nil {
		return nil, err
	}
	defer clear(volumeKey)
	for _, k := range o.Keys {
		if _, err := e.AddKey(ctx, luks.AnySlot, luks.NewKey{VolumeKey: volumeKey, Passphrase: k, KeyOptions: o.KeyOptions}); err != nil {
			return nil, err
		}
	}
	r.LUKS = e.Header().Info()
	return r, nil
}
