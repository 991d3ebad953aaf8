package contents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/need"
)

// rename replaces names in the directories of an image by names of the same length.
func rename(b []byte, names ...string) []byte {
	b = bytes.Clone(b)
	for i := 0; i+1 < len(names); i += 2 {
		b = bytes.ReplaceAll(b, []byte(names[i]), []byte(names[i+1]))
	}
	return b
}

func TestSystem(t *testing.T) {
	ext2, gpt := golden.Read("../testdata/contents/ext2.img.gz"), golden.Read("../testdata/contents/gpt.img.gz")
	const rootAt = 3 << 20
	for _, c := range []struct {
		name   string
		b      []byte
		cloud  string
		reason string // a part
		text   string // of the warnings; "" if there are none
	}{
		{"as made", ext2, Found, "/usr/bin/cloud-init", ""},
		{"without cloud-init", rename(ext2, "cloud-init", "clown-init"), NotFound, "", ""},
		{"dangling link", rename(ext2, "cloud-init-3", "cloud-init-4", "\x0c\x01cloud-init-4", "\x0c\x01cloud-init-5"), NotFound, "", ""},
		{"a folder of that name", rename(ext2, "\x0a\x07cloud-init", "\x0a\x07clown-init", "\x0c\x01cloud-init-3", "\x0c\x02cloud-init-3"), NotFound, "", ""},
		{"/usr elsewhere", rename(ext2, "cloud-init", "clown-init", "1234 / xfs", "123 /usr x"), Unknown, "/usr is a separate filesystem", ""},
		{"no root", rename(ext2, "os-release", "xx-release", "fstab", "xxtab"), Unknown, "no root filesystem was found", ""},
		{"journal not replayed", changedAt(ext2, 1024+96, 6), Found, "/usr/bin/cloud-init", "was not unmounted"},
		{"unreadable", changedAt(ext2, 1024+40, 0, 0, 0, 0), Unknown, "could not be read", "could not read the ext2 filesystem of the disk"},
		{"in a partition", gpt, Found, "/usr/bin/cloud-init", ""},
		{"unreadable partition", changedAt(gpt, rootAt+1024+40, 0, 0, 0, 0), Unknown, "partition 3 could not be read", "could not read the ext2 filesystem of partition 3: ext4: s_inodes_per_group at offset 1064 is 0"},
		{"LVM", func() []byte {
			b := bytes.Clone(gpt)
			clear(b[rootAt : rootAt+2<<20])
			copy(b[rootAt+512:], "LABELONE")
			copy(b[rootAt+512+24:], "LVM2 001")
			return b
		}(), Unknown, "partition 3 is LVM, which was not inspected", ""},
		{"LUKS", func() []byte {
			b := bytes.Clone(gpt)
			copy(b[rootAt:], "LUKS\xba\xbe\x00\x02")
			return b
		}(), Unknown, "partition 3 is encrypted", ""},
		{"btrfs", put(65536+64, "_BHRfS_M"), Unknown, "the disk is btrfs, which was not inspected", ""},
		{"empty", make([]byte, 1<<20), Unknown, "no root filesystem was found", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := bound(t, &counting{b: c.b})
			if info.CloudInit != c.cloud || !strings.Contains(info.CloudInitReason, c.reason) || c.reason == "" && info.CloudInitReason != "" {
				t.Errorf("cloud-init %s (%s), want %s (%s)", info.CloudInit, info.CloudInitReason, c.cloud, c.reason)
			}
			if all := strings.Join(info.Warnings, "; "); !strings.Contains(all, c.text) || c.text == "" && all != "" {
				t.Errorf("warnings %q, want %q", all, c.text)
			}
			if want := c.name == "LUKS"; info.Encrypted != want {
				t.Errorf("encrypted is %v", info.Encrypted)
			}
		})
	}
}

func changedAt(b []byte, at int, values ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], values)
	return b
}

// TestCloudInitFromMke2fs finds cloud-init by its configuration, and detects that it is disabled.
func TestCloudInitFromMke2fs(t *testing.T) {
	need.Program(t, "mke2fs")
	for _, c := range []struct {
		name   string
		s      sample
		reason string
		text   string
	}{
		{"configuration", sample{"/etc/os-release": "ID=debian\n", "/etc/cloud/cloud.cfg": "x\n"}, "/etc/cloud/cloud.cfg", ""},
		{"disabled", sample{"/etc/passwd": "", "/usr/local/bin/cloud-init": "x\n", "/etc/cloud/cloud-init.disabled": ""}, "/usr/local/bin/cloud-init", "disabled by /etc/cloud/cloud-init.disabled"},
	} {
		dir := t.TempDir()
		c.s.write(t, dir)
		path := blank(t, 4<<20)
		need.Run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-d", dir, path)
		info := inspect(t, openImage(t, path))
		if info.CloudInit != Found || info.CloudInitReason != c.reason || !strings.Contains(fmt.Sprint(info.Warnings), c.text) {
			t.Errorf("%s: Inspect: got %+v", c.name, info)
		}
	}
}

func TestOSRelease(t *testing.T) {
	for _, c := range []struct {
		text string
		want OS
	}{
		{"", OS{}},
		{"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"", OS{"debian", "12", "Debian GNU/Linux 12 (bookworm)"}},
		{"#ID=x\n ID='a b'\r\nNAME=no\nVERSION_ID=\"\\\"1\\$2\\\\\"\nPRETTY_NAME=a\\ b", OS{"a b", "\"1$2\\", "a b"}},
		{"ID=\nVERSION_ID=\"\nPRETTY_NAME=\\", OS{"", "\"", "\\"}},
		{"ID=one\nID=two\nPRETTY_NAME=\x1b[2J\xff", OS{"two", "", "?[2J?"}},
		{"PRETTY_NAME=" + strings.Repeat("ä", 1000), OS{Name: strings.Repeat("ä", 127)}},
	} {
		if got := parseOSRelease([]byte(c.text)); *got != c.want {
			t.Errorf("%.40q: %+v, want %+v", c.text, *got, c.want)
		}
	}
}

func TestFstab(t *testing.T) {
	got := parseFstab([]byte("# x\n\n  #y / z\nUUID=1\t/ \text4 defaults 0 1\nbroken line\n/dev/sda2 none swap sw\r\n//host/share /mnt cifs password=secret\n"))
	want := []Mount{{"UUID=1", "/", "ext4"}, {"/dev/sda2", "none", "swap"}, {"//host/share", "/mnt", "cifs"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := parseFstab([]byte(strings.Repeat("a b c\n", 1000))); len(got) != maxMounts {
		t.Errorf("%d mounts", len(got))
	}
}

// TestJSON pins the JSON names, which are API.
func TestJSON(t *testing.T) {
	info := bound(t, &counting{b: golden.Read("../testdata/contents/gpt.img.gz")})
	info.Warnings = []string{"w"}
	info.Filesystem = &Filesystem{Type: "iso9660"}
	b, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"partition_table":"gpt","sector_size":512,"disk_id":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00","partitions":[` +
		`{"number":1,"start":1048576,"size":1048576,"type":"efi","type_id":"c12a7328-f81f-11d2-ba4b-00a0c93ec93b","name":"EFI","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d01","bootable":false,"filesystem":{"type":"fat12","label":"EFI","uuid":"1234-ABCD"}},` +
		`{"number":2,"start":2097152,"size":1048576,"type":"bios-boot","type_id":"21686148-6449-6e6f-744e-656564454649","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d02","bootable":false},` +
		`{"number":3,"start":3145728,"size":2097152,"type":"linux","type_id":"0fc63daf-8483-4772-8e79-3d69d8477de4","name":"root","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d03","bootable":true,"filesystem":{"type":"ext2","label":"root","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00"}},` +
		`{"number":4,"start":5242880,"size":1048576,"type":"linux-swap","type_id":"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d04","bootable":false,"filesystem":{"type":"swap","label":"SWAP-xvdb1","uuid":"6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00"}}],` +
		`"filesystem":{"type":"iso9660"},"encrypted":false,"root_partition":3,"os":{"id":"rhel","version":"9.4","name":"Red Hat Enterprise Linux 9.4 (Plow)"},"has_fstab":true,` +
		`"mounts":[{"device":"UUID=1234","path":"/","type":"xfs"},{"device":"LABEL=SWAP-xvdb1","path":"swap","type":"swap"}],"cloud_init":"found","cloud_init_reason":"/usr/bin/cloud-init","warnings":["w"]}`
	if string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

// A failing source fails at its nth read.
type failing struct {
	counting
	at  int
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.reads == f.at {
		return 0, f.err
	}
	return f.counting.ReadAt(p, off)
}

func TestFailures(t *testing.T) {
	b := golden.Read("../testdata/contents/gpt.img.gz")
	whole := &counting{b: b}
	bound(t, whole)
	boom := errors.New("boom")
	for n := range whole.reads {
		info, err := Inspect(context.Background(), &failing{counting{b: b}, n, boom})
		if err != boom || info == nil || len(info.Warnings) > 0 {
			t.Fatalf("read %d fails: %+v, %v", n, info, err)
		}
	}
	if info, err := Inspect(context.Background(), &failing{counting{b: b}, whole.reads, boom}); err != nil || info.CloudInit != Found {
		t.Errorf("Inspect: got %+v, %v", info, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(boom)
	src := &counting{b: b}
	if info, err := Inspect(ctx, src); err != boom || info == nil || src.reads > 0 {
		t.Errorf("cancelled: %+v, %v, %d reads", info, err, src.reads)
	}
	// A source shorter than its size is an I/O error, not a malformed image.
	if _, err := Inspect(context.Background(), &failing{counting{b: b}, 5, nil}); err == nil {
		t.Error("a short read without an error was accepted")
	}
}

// TestLarge checks that a huge image needs no more reads than a small one.
func TestLarge(t *testing.T) {
	src := &counting{b: golden.Read("../testdata/contents/ext2.img.gz"), size: 1 << 50}
	checkSystem(t, bound(t, src))
	if src.bytes > 1<<20 {
		t.Errorf("read %d bytes", src.bytes)
	}
}

// TestFieldsSystem checks that an unknown name or version leaves no space in the text.
func TestFieldsSystem(t *testing.T) {
	for os, want := range map[OS]string{{ID: "debian"}: "debian", {ID: "rhel", Version: "9.4"}: "rhel 9.4", {ID: "rhel", Name: "Red Hat"}: "Red Hat"} {
		for name, got := range (&Info{OS: &os}).Fields() {
			if name == "system" && got != want {
				t.Errorf("%+v: %q, want %q", os, got, want)
			}
		}
	}
}
