package interop

import (
	"strconv"
	"strings"
	"testing"
)

// OpenJob is an image for dm-crypt to open.
type OpenJob struct {
	Image   string
	KeyFile string
	Type    string // "luks1" or "luks2" to insist on; "" takes both
	Header  string // file with the detached header, if it is one
	FS      bool   // check the filesystems inside, also in partitions
}

// Opened is what dm-crypt and the other programs of the guest found in an image.
type Opened struct {
	Status      int    // of cryptsetup open; with another than 0 only Errors is set
	Type        string // "LUKS1" or "LUKS2"
	Table       string // of the device-mapper, without the key
	Size        int64  // of the decrypted device, in bytes
	SHA256      string // of the decrypted device
	Partitions  string // kind of the partition table: "dos", "gpt"
	Filesystems []string
	Fsck        []int    // exit statuses of e2fsck -fn
	Files       []string // in all filesystems, the regular ones
	Errors      []string
}

// GuestOpen opens all images in one guest, with the real cryptsetup and dm-crypt,
// read-only. The results are in the order of the jobs.
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

// MakeJob is an image for cryptsetup to make.
type MakeJob struct {
	Out     string   // file to be made
	Size    int64    // of that file, in bytes
	KeyFile string   // passphrase
	Plain   string   // file with what the decrypted device starts with; zeros follow
	Header  string   // file to be made for a detached header; "" for none
	Format  []string // arguments of cryptsetup luksFormat
	Post    []string // shell commands to run in the guest after that; see dmcrypt-make.sh
}

// Made is an image that cryptsetup made.
type Made struct {
	Status int    // of the command that failed, else 0
	Size   int64  // of the decrypted device
	SHA256 string // of the decrypted device as the kernel reads it back
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

// runGuest runs a script that boots a guest, and returns its images' sections.
func runGuest(t testing.TB, name string, images int, args []string) []section {
	t.Helper()
	r := Run(t, script(t, name), args...)
	sections := parseSections(r.Stdout)
	if len(sections) != images || r.Code == 125 {
		t.Fatalf("the guest saw %d of %d images, exit status %d: %s", len(sections), images, r.Code, r)
	}
	return sections
}

// parseSections reads the lines of the images that came to their end: each starts
// with an "image" line and ends with a "status" line.
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

// value returns the first value of a name, "" if there is none.
func (s section) value(name string) string {
	if v := s[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// number is value as a number, 0 if there is none.
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
