package luksimg

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/luks"
)

// ReencryptOptions configure [Reencrypt]. The zero value makes a LUKS2 image with the sector size, the
// labels and the flags of its source.
type ReencryptOptions struct {
	// EncryptOptions configure the new image. Its format must be LUKS1 or LUKS2. A sector size of zero
	// and empty labels mean those of the source.
	EncryptOptions

	// NoLabel and NoSubsystem drop the source's label and subsystem.
	NoLabel, NoSubsystem bool

	// Keys are the passphrases of additional key slots. KeyOptions configure those slots.
	Keys       [][]byte
	KeyOptions luks.KeyOptions
}

// Keep sets the options for a copy of src, as [Reencrypt] does. It returns descriptions of what the
// copy drops, and the error that Reencrypt would return.
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
		return nil, fmt.Errorf("a LUKS image can only be copied to LUKS1 or LUKS2, not to %s", p.format)
	}
	return dropped, o.Check()
}

// Reencrypt writes the plaintext of a LUKS image to a new LUKS image with a new volume key. Somebody
// who kept an old key cannot read the new image. header is the header of the old image and src its
// plaintext. The passphrase and o.Keys open the new image in dst. Tokens and other key slots are not
// copied. [Encrypt] describes the requirements for dst.
func Reencrypt(ctx context.Context, dst luks.File, header *luks.Header, src *luks.Volume, passphrase []byte, o ReencryptOptions) (*Result, error) {
	if _, err := o.Keep(header.Info()); err != nil {
		return nil, err
	}
	r, err := Encrypt(ctx, dst, src, passphrase, o.EncryptOptions)
	if err != nil || len(o.Keys) == 0 {
		return r, err
	}
	e, err := luks.Edit(dst, r.FileSize, luks.OpenOptions{MaxWork: math.MaxUint64}) // the caller chose the cost
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
