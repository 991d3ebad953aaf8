package luks_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// TestAmbiguous overwrites the primary header of an image and keeps the secondary one. The image must
// open with a warning, and must not be changed.
func TestAmbiguous(t *testing.T) {
	img := editable(t)["luks2"]
	var backup bytes.Buffer
	if err := open(t, img).Backup(&backup); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		offset int
		bytes  string
	}{{"swap area", 4086, "SWAPSPACE2"}, {"ext2", 1080, "\x53\xef"}, {"LVM2", 512, "LABELONE"}, {"GUID", 512, "EFI PART"}, {"RAID", 4096, "\xfc\x4e\x2b\xa9"}, {"LZ4", 0, "\x04\x22\x4d\x18"}} {
		b := bytes.Clone(img)
		clear(b[:16384])
		copy(b[c.offset:], c.bytes)
		if !opens(t, b, passphrase) {
			t.Errorf("%s: does not open by its secondary header", c.name)
		}
		if w := strings.Join(open(t, b).Info().Warnings, "\n"); !strings.Contains(w, c.name) {
			t.Errorf("%s: warnings %q", c.name, w)
		}
		j := &journal{b: bytes.Clone(b)}
		if _, err := luks.Edit(j, int64(len(b)), luks.OpenOptions{}); !errors.Is(err, luks.ErrAmbiguous) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: Edit: %v", c.name, err)
		}
		for _, force := range []bool{false, true} {
			if _, err := luks.Restore(j, int64(len(b)), bytes.NewReader(backup.Bytes()), int64(backup.Len()), force); !errors.Is(err, luks.ErrAmbiguous) {
				t.Errorf("%s: Restore, force %v: %v", c.name, force, err)
			}
		}
		if !bytes.Equal(j.b, b) {
			t.Errorf("%s: the image was written to", c.name)
		}
		e, err := luks.Edit(j, int64(len(b)), luks.OpenOptions{OverwriteSignature: true})
		if err != nil {
			t.Fatal(err)
		}
		if did, err := e.Repair(); !did || err != nil {
			t.Errorf("%s: Repair: %v, %v", c.name, did, err)
		}
		if w := open(t, j.b).Info().Warnings; len(w) > 0 || !opens(t, j.b, passphrase) {
			t.Errorf("%s: after Repair: %q", c.name, w)
		}
	}
}

// TestNoHeaderThere checks that Restore names what replaced the header of the image.
func TestNoHeaderThere(t *testing.T) {
	img := editable(t)["luks1"]
	var backup bytes.Buffer
	if err := open(t, img).Backup(&backup); err != nil {
		t.Fatal(err)
	}
	j := &journal{b: make([]byte, len(img))}
	copy(j.b, "XFSB")
	_, err := luks.Restore(j, int64(len(j.b)), bytes.NewReader(backup.Bytes()), int64(backup.Len()), false)
	if !errors.Is(err, luks.ErrBackup) || !strings.Contains(err.Error(), "XFS") || len(j.writes) > 0 {
		t.Errorf("%v, %d writes", err, len(j.writes))
	}
}

// TestSecondaryElsewhere moves a secondary header to an offset that it does not contain. It must be
// ignored: without a primary header the file is no LUKS image.
func TestSecondaryElsewhere(t *testing.T) {
	img := editable(t)["luks2"]
	secondary := img[16384:32768]
	for _, off := range []int{16384, 32768, 65536, 131072} {
		b := make([]byte, 1<<20)
		copy(b[off:], secondary)
		is := off == 16384
		if luks.Detect(bytes.NewReader(b), int64(len(b))) != is {
			t.Errorf("at %d: detected: %v", off, !is)
		}
		_, err := luks.Open(bytes.NewReader(b), int64(len(b)), luks.OpenOptions{})
		if is && err != nil || !is && !errors.Is(err, luks.ErrNotLUKS) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	b := bytes.Clone(img)
	binary.BigEndian.PutUint64(b[16384+256:], 32768)
	if w := open(t, b).Info().Warnings; len(w) != 1 || !strings.Contains(w[0], "secondary") {
		t.Errorf("beside a good primary header: %q", w)
	}
}

// TestRestoreSparesData restores backups to images with another data offset, and to an image whose data
// start within a block of 4096 bytes.
func TestRestoreSparesData(t *testing.T) {
	restore := func(img, backup []byte, force bool) (*journal, error) {
		j := &journal{b: bytes.Clone(img)}
		_, err := luks.Restore(j, int64(len(j.b)), bytes.NewReader(backup), int64(len(backup)), force)
		return j, err
	}
	images := map[int64][]byte{}
	for _, off := range []int64{1 << 20, 2 << 20, 4 << 20} {
		images[off] = write(t, random(1, 1024), luks.Options{KeySize: 32, KDF: cheap, DataOffset: off})
	}
	images[3<<20] = write(t, random(1, 1024), luks.Options{Version: 1, KeySize: 32, KDF: cheap, DataOffset: 3 << 20})
	for from, img := range images {
		var backup bytes.Buffer
		if err := open(t, img).Backup(&backup); err != nil {
			t.Fatal(err)
		}
		for to, img := range images {
			if from == to {
				continue
			}
			img = append(bytes.Clone(img), make([]byte, 4<<20)...)
			j, err := restore(img, backup.Bytes(), true)
			if !errors.Is(err, luks.ErrDataOffset) || !errors.Is(err, luks.ErrBackup) || len(j.writes) > 0 {
				t.Errorf("data at %d, backup has %d: %v, %d writes", to, from, err, len(j.writes))
			}
		}
	}

	// LUKS1 data start at sector 1029, right after the last key slot.
	const data = 1029 * 512
	full := write(t, nil, luks.Options{Version: 1, KeySize: 16, KDF: cheap, Cipher: "aes-cbc-essiv:sha256"})
	img := append(bytes.Clone(full[:data]), bytes.Repeat([]byte("old data"), 8192)...)
	binary.BigEndian.PutUint32(img[104:], data/512)
	h := open(t, img)
	var backup bytes.Buffer
	if err := h.Backup(&backup); err != nil || backup.Len()%4096 != 0 {
		t.Fatalf("a backup of %d bytes, %v", backup.Len(), err)
	}
	if h.HeaderSize() > h.DataOffset() {
		t.Errorf("header of %d bytes, data at %d", h.HeaderSize(), h.DataOffset())
	}
	after := slices.Concat(img[:data], bytes.Repeat([]byte("new data"), 8192))
	j, err := restore(after, backup.Bytes(), false)
	if err != nil || !bytes.Equal(j.b[data:], after[data:]) {
		t.Errorf("restored over data: %v", err)
	}
	if _, _, err := open(t, j.b).VolumeKey(t.Context(), passphrase, luks.AnySlot); err != nil {
		t.Error(err)
	}
}
