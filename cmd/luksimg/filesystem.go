package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/rest"
)

// cutImage splits IMAGE:/PATH into the name of an image and the path of a file in it. Without a path it returns "".
func cutImage(arg string) (name, path string) {
	from := 0
	if web.Is(arg) {
		return cutAddress(arg)
	} else if isCOS(arg) {
		from = len("cos://")
	} else if isLayout(arg) {
		from = len(layoutPrefix)
	} else if runtime.GOOS == "windows" && len(arg) > 1 && arg[1] == ':' { // the colon of a drive letter
		from = 2
	}
	i := strings.Index(arg[from:], ":/")
	if i < 0 {
		return arg, ""
	}
	return arg[:from+i], arg[from+i+1:]
}

// files opens a filesystem on the disk and returns its size. If asked is set, that is the filesystem of the source, a
// partition that the user chose. Otherwise it is the filesystem of the whole disk, or of the partition with the root
// of a system.
func (s *source) files(ctx context.Context, g *global, asked bool) (*files.FS, int64, error) {
	var src image.Source = s.img
	if !asked {
		info, err := contents.Inspect(ctx, s.img)
		if err != nil {
			return nil, 0, s.wrap(err)
		}
		switch {
		case info.RootPartition > 0:
			p, _, err := contents.FindPartition(ctx, s.img, info.RootPartition)
			if err == nil {
				src, err = image.NewSection(s.img, p.Start, p.Size)
			}
			if err != nil {
				return nil, 0, s.wrap(err)
			}
			g.Say("%s: partition %d has the root of the system", s.name, p.Number)
		case len(info.Partitions) > 0 && info.Filesystem == nil:
			return nil, 0, s.wrap(whichPartition(info))
		}
	}
	f, err := files.Open(ctx, src)
	if err != nil {
		return nil, 0, s.wrap(err)
	}
	g.WarnAll(s.name+": ", f.Warnings())
	return f, src.Size(), nil
}

// whichPartition returns an error that lists the partitions to choose from.
func whichPartition(info *contents.Info) error {
	var all []string
	for _, p := range info.Partitions {
		if p.Filesystem != nil {
			all = append(all, fmt.Sprintf("%d (%s)", p.Number, p.Filesystem.Type))
		}
	}
	if len(all) == 0 {
		all = []string{"none with a filesystem"}
	}
	return rest.WithHint(fmt.Errorf("%w: no partition holds the root of a system; partitions: %s", contents.ErrNoPartition, strings.Join(all, ", ")),
		"name one with --partition N; a LUKS partition also needs its key")
}
