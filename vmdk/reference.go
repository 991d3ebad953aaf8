package vmdk

import (
	"fmt"

	"github.com/luksimg/luksimg/image"
)

func (d *Disk) ask(ref image.Ref) (image.Source, error) {
	return d.opts.chain.Ask("vmdk", d.opts.ID, d.opts.Resolve, ref)
}

// openParent opens the parent of a delta disk (section "The Descriptor File", parentCID). If the
// parent is a VMDK, its CID must be the one that the image records. The first write to a disk
// changes its CID.
func (d *Disk) openParent() error {
	if d.desc.parentCID == noParent || d.opts.MetadataOnly {
		return nil
	}
	if err := d.opts.chain.Check("vmdk", d.opts.ID, 0, "descriptor parentFileNameHint"); err != nil {
		return err
	}
	if err := d.desc.charset.check(d.desc.parentHintAt, d.desc.parentHint); err != nil {
		return err
	}
	ref := image.Ref{What: "parent disk", Format: "vmdk", Options: Options{Resolve: d.opts.Resolve, chain: d.opts.chain.Next(d.opts.ID)}}
	if d.desc.parentHint != "" {
		ref.Names = []string{d.desc.parentHint}
	}
	src, err := d.ask(ref)
	if err != nil {
		return err
	}
	if p, ok := src.(*Disk); ok && p.desc.hasCID && p.desc.cid != d.desc.parentCID {
		return fieldError(0, "descriptor parentCID", hexCID(d.desc.parentCID), "%s, the CID of the parent %s: it was changed since, or is a different disk",
			hexCID(p.desc.cid), quote(d.desc.parentHint))
	}
	d.disk.Parent, d.disk.ParentName = src, "parent "+quote(d.desc.parentHint)
	return nil
}

// hexCID formats a content ID as in a descriptor.
func hexCID(v uint32) string { return fmt.Sprintf("%08x", v) }
