package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/picture"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/diskmap"
	"github.com/luksimg/luksimg/internal/output"
)

// svgFlags are the flags of verbs that can draw their result.
type svgFlags struct {
	name  string
	force bool
}

func (o *svgFlags) add(c *cobra.Command, what string) {
	c.Flags().StringVar(&o.name, "svg", "", "draw "+what+" to `FILE`, as SVG")
	c.Flags().BoolVar(&o.force, "force", false, "replace the drawing if it exists")
}

// create creates the file of the drawing before the work starts. It returns nil without --svg. abort removes an
// unfinished file.
func (o *svgFlags) create() (f *output.File, abort func(), err error) {
	if o.name == "" {
		return nil, func() {}, nil
	}
	if f, err = output.Create(o.name, 0o666, o.force); err != nil {
		return nil, nil, err
	}
	return f, f.Abort, nil
}

// densityParts is the number of parts of a disk whose density a drawing shows.
const densityParts = 256

// drawImage draws an image into f, unless f is nil. s is the open disk, or nil.
func drawImage(ctx context.Context, f *output.File, in *input, r inspectResult, s *source) error {
	if f == nil {
		return nil
	}
	p := picture.Image{Name: in.base, Info: r.Info, Contents: r.Contents}
	if s != nil && r.Contents != nil {
		var err error
		if p.Density, err = diskmap.Shares(ctx, s.img, densityParts); err != nil {
			return err
		}
	}
	return finish(f, p.Draw())
}

// drawAudit draws a chain of events into f, unless f is nil.
func drawAudit(f *output.File, r *audit.Report, of audit.Query) error {
	if f == nil {
		return nil
	}
	var about []string
	for _, a := range [][2]string{{"root key", of.RootKeyCRN}, {"image", of.ImageID}, {"server", of.ServerID}} {
		if a[1] != "" {
			about = append(about, a[0]+" "+a[1])
		}
	}
	return finish(f, picture.Audit(r, about))
}

// finish writes and commits the file.
func finish(f *output.File, b []byte) error {
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Commit()
}
