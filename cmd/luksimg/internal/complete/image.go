package complete

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
)

// patience is the longest time to read an image, because a person waits.
const patience = 2 * time.Second

// imageOf returns the name of the image that the verb opens with a key: an argument or the value of a flag. It
// returns "" if the command line does not name the image yet.
func imageOf(c *cobra.Command, args []string) string {
	n := 0
	switch flags.Verb(c) {
	case "verify":
		n = 1
	case "wrap", "unwrap":
		for _, flag := range []string{"token", "image"} {
			if f := c.Flags().Lookup(flag); f != nil && f.Changed {
				return f.Value.String()
			}
		}
		return ""
	}
	if n >= len(args) {
		return ""
	}
	return args[n]
}

// open opens an image in a regular file or a block device. It does not open a pipe, because reading would consume its
// data.
func open(name string) (*os.File, int64, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	disk := fi.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
	if !fi.Mode().IsRegular() && !disk {
		return nil, 0, fmt.Errorf("%s is not a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// asIs opens an image without unpacking it.
var asIs = luksimg.Unpacking{Never: true}

// header calls use with the LUKS header of the image on the command line, if there is one.
func header(c *cobra.Command, args []string, use func(h *luks.Header)) {
	name, part := imageOf(c, args), 0
	if f := c.Flags().Lookup("partition"); f != nil {
		if n, ok := f.Value.(*flags.Partition); ok {
			part = int(*n)
		}
	}
	if f := c.Flags().Lookup("header"); f != nil && f.Changed && flags.Verb(c) != "encrypt" {
		name, part = f.Value.String(), 0
	}
	f, size, err := open(name)
	if err != nil {
		return
	}
	defer f.Close()
	var r io.ReaderAt = f
	if part != 0 {
		ctx, cancel := context.WithTimeout(c.Context(), patience)
		defer cancel()
		p, err := luksimg.OpenPartition(ctx, f, size, luksimg.ImageOptions{Partition: part, Unpack: asIs})
		if err != nil {
			return
		}
		defer p.Close()
		r, size = p, p.Size()
	}
	if h, err := luks.Open(r, size, luks.OpenOptions{AllowNullCipher: true, AllowTruncated: true}); err == nil {
		use(h)
	}
}

// usedSlots returns the used key slots of the image.
func usedSlots(c *cobra.Command, args []string) (slots []string) {
	header(c, args, func(h *luks.Header) {
		for _, s := range h.Info().Keyslots {
			slots = append(slots, choice(strconv.Itoa(s.Slot), s.String()))
		}
	})
	return slots
}

// freeSlots returns the free key slots of the image.
func freeSlots(c *cobra.Command, args []string) (slots []string) {
	header(c, args, func(h *luks.Header) {
		n := 8
		if h.Info().Version == 2 {
			n = 32
		}
		for i := range n {
			if !slices.ContainsFunc(h.Info().Keyslots, func(s luks.SlotInfo) bool { return s.Slot == i }) {
				slots = append(slots, strconv.Itoa(i))
			}
		}
	})
	return slots
}

// tokens returns the tokens of the image.
func tokens(c *cobra.Command, args []string) (numbers []string) {
	header(c, args, func(h *luks.Header) {
		for _, t := range h.Tokens() {
			numbers = append(numbers, choice(strconv.Itoa(t.Number), t.String()))
		}
	})
	return numbers
}

// partitions returns the partitions of the disk in the image.
func partitions(c *cobra.Command, args []string) (numbers []string) {
	f, size, err := open(imageOf(c, args))
	if err != nil {
		return nil
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	img, err := luksimg.OpenImage(ctx, f, size, luksimg.ImageOptions{Unpack: asIs})
	if err != nil {
		return nil
	}
	defer img.Close()
	info, err := contents.Inspect(ctx, img)
	if err != nil {
		return nil
	}
	for _, p := range info.Partitions {
		about := term.Bytes(p.Size) + " " + p.Type
		if p.Filesystem != nil {
			about += " " + p.Filesystem.Type
		}
		numbers = append(numbers, choice(strconv.Itoa(p.Number), about))
	}
	return numbers
}

// snapshots returns the internal snapshots of a qcow2 image.
func snapshots(c *cobra.Command, args []string) (ids []string) {
	reading(c, args, func(ctx context.Context, f *os.File, size int64) {
		d, err := qcow.Open(ctx, f, size, qcow.Options{})
		if err != nil {
			return
		}
		defer d.Close()
		info, err := d.Info(ctx)
		if err != nil {
			return
		}
		for _, s := range info.Snapshots {
			if plain(s.ID) {
				ids = append(ids, choice(s.ID, s.Name))
			}
		}
	})
	return ids
}

// members returns the disks in an uncompressed archive.
func members(c *cobra.Command, args []string) (names []string) {
	reading(c, args, func(ctx context.Context, f *os.File, size int64) {
		a, err := archive.Open(ctx, f, size, archive.Options{})
		if err != nil {
			return
		}
		for _, d := range a.Disks {
			if plain(d.Name) {
				names = append(names, choice(d.Name, term.Bytes(d.Size)))
			}
		}
	})
	return names
}

// reading calls use with the first argument, opened as a file, if that succeeds. ctx ends after patience.
func reading(c *cobra.Command, args []string, use func(ctx context.Context, f *os.File, size int64)) {
	if len(args) == 0 {
		return
	}
	f, size, err := open(args[0])
	if err != nil {
		return
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	use(ctx, f, size)
}

// choice joins a value and its description in the form that cobra passes to the shell.
func choice(value, about string) string {
	return value + "\t" + term.Visible(about)
}

// plain reports whether text from an untrusted source is safe on a command line: no shell treats its characters
// specially.
func plain(text string) bool {
	return text != "" && text[0] != '-' && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.,@%+-", r)
	})
}
