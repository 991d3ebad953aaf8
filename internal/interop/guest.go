package interop

import (
	"strconv"
	"strings"
	"testing"
)

// OpenJob is an image that dm-crypt opens.
type OpenJob struct {
	Image   string
	KeyFile string
	Type    string // "luks1", "luks2", or "" for either
	Header  string // file with the detached header, if any
	FS      bool   // check the filesystems inside, also in partitions
}

// Opened is the result of an [OpenJob].
type Opened struct {
	Status      int    // of cryptsetup open; if not 0, only Errors is set
	Type        string // "LUKS1" or "LUKS2"
	Table       string // device-mapper table without the key
	Size        int64  // size of the decrypted device in bytes
	SHA256      string // of the decrypted device
	Partitions  string // type of the partition table: "dos", "gpt"
	Filesystems []string
	Fsck        []int    // exit statuses of e2fsck -fn
	Files       []string // regular files in all filesystems
	Errors      []string
}

// GuestOpen opens all images read-only in one guest, with the real cryptsetup and dm-crypt. The results
// are in the order of the jobs.
func GuestOpen(t testing.TB, jobs ...OpenJob) []Opened {
	t.Helper()
	NeedGuest(t)
	var args []string
	for i, j := range jobs {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, j.Image, j.KeyFile)
		if j.Type != "" {
			args = append(args, "--type", j.Type)
		}
		if j.Header != "" {
			args = append(args, "--header", j.Header)
		}
		if j.FS {
			args = append(args, "--fs")
		}
	}
	var out []Opened
	for _, s := range runGuest(t, "dmcrypt-open.sh", len(jobs), args) {
		o := Opened{
			Status:      s.number(t, "status"),
			Type:        s.value("type"),
			Table:       s.value("table"),
			Size:        int64(s.number(t, "size")),
			SHA256:      s.value("sha256"),
			Partitions:  s.value("partitions"),
			Filesystems: s["filesystem"],
			Errors:      s["error"],
		}
		for _, line := range s["e2fsck"] {
			if code, ok := strings.CutPrefix(line, "exit status "); ok {
				o.Fsck = append(o.Fsck, atoi(t, code))
			}
		}
		for _, line := range s["file"] { // kind, mode, size, name
			if f := strings.SplitN(line, " ", 4); len(f) == 4 && f[0] == "f" {
				o.Files = append(o.Files, f[3])
			}
		}
		out = append(out, o)
	}
	return out
}

// MakeJob is an image that cryptsetup makes.
type MakeJob struct {
	Out     string   // output file
	Size    int64    // size of the output file in bytes
	KeyFile string   // file with the passphrase
	Plain   string   // file with the start of the plaintext; zeros follow
	Header  string   // output file for a detached header; "" for none
	Format  []string // arguments of cryptsetup luksFormat
	Post    []string // shell commands to run in the guest afterwards; see dmcrypt-make.sh
}

// Made is the result of a [MakeJob].
type Made struct {
	Status int    // exit status of the failed command, or 0
	Size   int64  // size of the decrypted device in bytes
	SHA256 string // hash of the decrypted device as the kernel reads it
	Errors []string
}

// GuestMake makes all images in one guest, with the real cryptsetup and dm-crypt.
// The results are in the order of the jobs.
func GuestMake(t testing.TB, jobs ...MakeJob) []Made {
	t.Helper()
	NeedGuest(t)
	var args []string
	for i, j := range jobs {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, j.Out, strconv.FormatInt(j.Size, 10), j.KeyFile)
		if j.Plain != "" {
			args = append(args, "--plain", j.Plain)
		}
		if j.Header != "" {
			args = append(args, "--header", j.Header)
		}
		for _, command := range j.Post {
			args = append(args, "--post", command)
		}
		args = append(append(args, "--"), j.Format...)
	}
	var out []Made
	for _, s := range runGuest(t, "dmcrypt-make.sh", len(jobs), args) {
		out = append(out, Made{
			Status: s.number(t, "status"),
			Size:   int64(s.number(t, "size")),
			SHA256: s.value("sha256"),
			Errors: s["error"],
		})
	}
	return out
}

// section holds the "name: value" lines of one image.
type section map[string][]string

// runGuest runs a script that boots a guest, and returns the sections of its images.
func runGuest(t testing.TB, name string, images int, args []string) []section {
	t.Helper()
	r := Run(t, script(t, name), args...)
	sections := parseSections(r.Stdout)
	if len(sections) != images || r.Code == 125 {
		t.Fatalf("the guest saw %d of %d images, exit status %d: %s", len(sections), images, r.Code, r)
	}
	return sections
}

// parseSections parses the complete sections, which start with an "image" line and end with a "status"
// line.
func parseSections(text string) []section {
	var all []section
	var s section
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			continue
		}
		if name == "image" {
			s = section{}
		}
		if s == nil {
			continue
		}
		s[name] = append(s[name], value)
		if name == "status" {
			all = append(all, s)
			s = nil
		}
	}
	return all
}

// value returns the first value of a name, or "".
func (s section) value(name string) string {
	if v := s[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// number returns the first value of a name as a number, or 0.
func (s section) number(t testing.TB, name string) int {
	t.Helper()
	if v := s.value(name); v != "" {
		return atoi(t, v)
	}
	return 0
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
