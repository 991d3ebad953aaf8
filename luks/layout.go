package luks

import (
	"cmp"

	"github.com/google/uuid"
)

// A Layout is the layout of the image that [New] makes with given [Options].
type Layout struct {
	Version    int   // 1 or 2
	HeaderSize int64 // the header and its key slots, in bytes; also the size of a detached header
	DataOffset int64 // offset of the data in bytes; 0 if the header is detached
	SectorSize int   // the unit of encryption, in bytes
}

// Layout returns the layout of the image that [New] would make, or the error that New would return. It
// derives no key.
func (o Options) Layout() (Layout, error) {
	o.UUID = cmp.Or(o.UUID, uuid.Nil.String()) // instead of a random one
	o, err := o.resolve()
	if err != nil {
		return Layout{}, err
	}
	l := Layout{Version: o.Version, HeaderSize: 2*o.MetadataSize + o.KeyslotsSize, DataOffset: o.DataOffset, SectorSize: o.SectorSize}
	if o.Version == 1 {
		l.HeaderSize = roundUp(v1MaterialEnd(o.KeySize), 4096)
	}
	return l, nil
}
