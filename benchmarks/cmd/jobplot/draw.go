package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/internal/drawing"
)

type title struct{ job, title string }

// titles are the jobs of the table and the plot, in order.
var titles = []title{
	{"raw-luks1", "raw to LUKS1"},
	{"raw-luks2", "raw to LUKS2"},
	{"luks1-raw", "LUKS1 to raw"},
	{"luks2-raw", "LUKS2 to raw"},
	{"vhd-luks1", "VHD to LUKS1"},
	{"qcow2-luks1", "qcow2 to LUKS1"},
	{"zlib-luks1", "qcow2 (zlib, 64 KiB) to LUKS1"},
	{"files-luks1", "qcow2 (zlib, 64 KiB, files) to LUKS1"},
	{"zlib2m-luks1", "qcow2 (zlib, 2 MiB) to LUKS1"},
	{"zstd-luks1", "qcow2 (zstd) to LUKS1"},
	{"vhd-raw", "VHD to raw"},
	{"qcow2-raw", "qcow2 to raw"},
	{"zlib-raw", "qcow2 (zlib, 64 KiB) to raw"},
	{"files-raw", "qcow2 (zlib, 64 KiB, files) to raw"},
	{"zlib2m-raw", "qcow2 (zlib, 2 MiB) to raw"},
	{"zstd-raw", "qcow2 (zstd) to raw"},
	{"qcow2-qcow2luks", "qcow2 to qcow2 with LUKS"},
	{"raw-vhdenc", "raw to encrypted VHD"},
	{"raw-vhd", "raw to VHD"},
	{"raw-qcow2", "raw to qcow2"},
	{"pipe", "through pipes, raw to LUKS2"},
	{"durable", "4 GiB onto a disk, synced"},
	{"map-empty-64T", "map of an empty 64 TiB qcow2"},
}

// plotted returns the jobs of the plot. The last two do not measure rates in memory.
func plotted() []title { return titles[:len(titles)-2] }

// columns are the contenders of the table.
var columns = []string{"luksimg", "qemu-img-W-m16", "qemu-img", "qemu-img-plain", "luksy", "cp+cryptsetup-reencrypt", "nbdkit", "go-qcow2reader", "copy-2", "cat", "write-only", "dd-fsync", "dd-direct-fsync"}

func (r *results) job(name string) *job {
	for _, j := range r.jobs {
		if j.name == name {
			return j
		}
	}
	return nil
}

// table returns the table of seconds in Markdown.
func table(r *results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| seconds | %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)+1))
	for _, t := range titles {
		j := r.job(t.job)
		if j == nil {
			continue
		}
		row := []string{t.title}
		for _, c := range columns {
			cell := ""
			if i := cmp.Or(j.find(c), j.find(c+"+sync")); i != nil {
				cell = fmt.Sprintf("%.2f", i.seconds())
				if i.seconds() < 0.1 {
					cell = fmt.Sprintf("%.3f", i.seconds())
				}
			}
			row = append(row, cell)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteString(sweep(r))
	fmt.Fprintf(&b, "\nPeak resident memory over these jobs: %s.\n", strings.Join(peaks(r), ", "))
	fmt.Fprintf(&b, "\n%s, %s CPUs, Linux %s; %s; %s; %s (%s); luksy %s; go-qcow2reader %s.\n", r.head["cpu"], r.head["cpus"], r.head["kernel"], r.head["luksimg"],
		r.head["qemu-img"], r.head["cryptsetup"], r.head["cryptsetup crypto"], r.head["github.com/containers/luksy"], r.head["github.com/lima-vm/go-qcow2reader"])
	return b.String()
}

// sweep returns the table of time and memory by the size of a sparse disk, or "".
func sweep(r *results) string {
	var b strings.Builder
	for _, j := range r.jobs {
		mib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(j.name, "sweep-"), "MiB"), 10, 64)
		if err != nil {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n| sparse disk, to /dev/null | seconds | GB/s | peak MB |\n| --- | --- | --- | --- |\n")
		}
		size := fmt.Sprintf("%d MiB", mib)
		if mib >= 1024 {
			size = fmt.Sprintf("%d GiB", mib>>10)
		}
		i := j.impls[0]
		fmt.Fprintf(&b, "| %s | %.2f | %.1f | %d |\n", size, i.seconds(), i.rate/1000, i.rss/1e6)
	}
	return b.String()
}

// peaks returns the largest resident sets of the encrypting contenders, over the jobs of the table.
func peaks(r *results) []string {
	var all []string
	for _, c := range columns {
		most := int64(0)
		for _, t := range titles {
			if j := r.job(t.job); j != nil && j.find(c) != nil {
				most = max(most, j.find(c).rss)
			}
		}
		if most > 0 && !plain(c) && c != "qemu-img-plain" {
			all = append(all, fmt.Sprintf("%s %d MB", c, most/1e6))
		}
	}
	return all
}

// draw makes a plot of rates with a group of bars for each job.
func draw(r *results) string {
	var groups []drawing.Group
	for _, t := range plotted() {
		j := r.job(t.job)
		if j == nil {
			continue
		}
		g := drawing.Group{Title: t.title}
		impls := slices.Clone(j.impls)
		slices.SortStableFunc(impls, func(a, b *impl) int { return cmp.Compare(b.rate, a.rate) })
		for _, i := range impls {
			g.Bars = append(g.Bars, drawing.Bar{Name: i.name, Kind: kind(i.name), Value: i.rate, Label: fmt.Sprintf("%.2f", i.rate/1000)})
		}
		groups = append(groups, g)
	}
	legend := []drawing.Bar{{Name: "only copies or writes", Kind: kind("cat")}}
	return string(drawing.Bars("File to file, in memory", []string{
		"without key derivation, GB/s of disk (10^9 bytes)", r.head["cpu"] + ", " + r.head["cpus"] + " CPUs",
	}, legend, groups))
}

// plain reports whether a contender only copies or writes.
func plain(name string) bool {
	return slices.Contains([]string{"cat", "copy-2", "write-only", "dd-fsync", "dd-direct-fsync"}, name)
}

// kind returns the colours of luksimg, of plain copies and of others.
func kind(name string) drawing.Kind {
	switch {
	case name == "luksimg":
		return drawing.Header
	case plain(name):
		return drawing.Data
	}
	return drawing.Table
}
