package luksimg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/luks"
)

const mib = 1 << 20

// mbrWith returns a disk with an MBR. Partition 1 is random bytes, partition 2 at 2 MiB is part.
func mbrWith(part []byte) []byte {
	b := newDisk(3*mib + len(part)).b
	clear(b[:512])
	b[510], b[511] = 0x55, 0xaa
	for i, p := range [][2]int{{mib, mib}, {2 * mib, len(part)}} {
		e := b[446+16*i:]
		e[4] = 0x83
		binary.LittleEndian.PutUint32(e[8:], uint32(p[0]/512))
		binary.LittleEndian.PutUint32(e[12:], uint32(p[1]/512))
	}
	copy(b[2*mib:], part)
	return b
}

// encryptedDisk returns a LUKS image of a disk.
func encryptedDisk(t *testing.T, d image.Source, o luks.Options) []byte {
	t.Helper()
	var f buffer
	o.KDF, o.DataOffset = cheap, 2*mib
	if _, err := luksimg.Encrypt(context.Background(), &f, d, key, luksimg.EncryptOptions{LUKS: o}); err != nil {
		t.Fatal(err)
	}
	return f.b
}

// in returns a disk in a container.
func in(t *testing.T, b []byte, format luksimg.Format) []byte {
	t.Helper()
	if format == luksimg.Raw {
		return b
	}
	var f file
	if _, err := luksimg.Decrypt(context.Background(), &f, &disk{b: b}, luksimg.DecryptOptions{Format: format}); err != nil {
		t.Fatal(err)
	}
	return f.b
}

func content(t *testing.T, src image.Source) []byte {
	t.Helper()
	b := make([]byte, src.Size())
	if _, err := image.ReadFull(src, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPartition opens partitions with and without LUKS, in all containers.
func TestPartition(t *testing.T) {
	ctx := context.Background()
	plain := newDisk(mib)
	for _, version := range []int{1, 2} {
		part := encryptedDisk(t, plain, luks.Options{Version: version})
		want := map[int]luksimg.Format{1: luksimg.LUKS1, 2: luksimg.LUKS2}[version]
		b := mbrWith(part)
		for _, format := range []luksimg.Format{luksimg.Raw, luksimg.VHD, luksimg.QCOW2} {
			f := in(t, b, format)
			open := func(n int, key []byte) (*luksimg.Image, error) {
				return luksimg.OpenImage(ctx, bytes.NewReader(f), int64(len(f)), luksimg.ImageOptions{Partition: n, Key: key})
			}
			img, err := open(2, key)
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if img.Format != want || !img.Encrypted || img.UUID == "" || !bytes.Equal(content(t, img), plain.b) {
				t.Errorf("%s: partition 2 is %s, encrypted %t", format, img.Format, img.Encrypted)
			}
			img.Close()
			if img, err = open(1, nil); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if img.Format != format || img.Encrypted || !bytes.Equal(content(t, img), b[mib:2*mib]) {
				t.Errorf("%s: partition 1 is %s, encrypted %t", format, img.Format, img.Encrypted)
			}
			if _, err := open(2, nil); !errors.Is(err, luksimg.ErrEncrypted) || !strings.Contains(err.Error(), "partition 2") {
				t.Errorf("%s: without a key: %v", format, err)
			}
			if _, err := open(2, []byte("wrong")); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("%s: with a wrong key: %v", format, err)
			}
			if _, err := open(3, nil); !errors.Is(err, contents.ErrNoPartition) {
				t.Errorf("%s: partition 3: %v", format, err)
			}
			i, err := luksimg.Inspect(ctx, bytes.NewReader(f), int64(len(f)), luksimg.ImageOptions{Partition: 2})
			if err != nil || i.Format != want || i.LUKS == nil || i.LUKS.UUID == "" || i.FileSize != int64(len(part)) || i.Disk != nil {
				t.Errorf("%s: %+v, %v", format, i, err)
			}
		}
		// Encrypt the whole disk again with the same key.
		f := encryptedDisk(t, &disk{b: b}, luks.Options{})
		o := luksimg.ImageOptions{Partition: 2, Key: key}
		img, err := luksimg.OpenImage(ctx, bytes.NewReader(f), int64(len(f)), o)
		if err != nil || !bytes.Equal(content(t, img), plain.b) {
			t.Errorf("LUKS in LUKS: %v", err)
		}
		i, err := luksimg.Inspect(ctx, bytes.NewReader(f), int64(len(f)), o)
		if err != nil || i.Format != want {
			t.Errorf("LUKS in LUKS: %+v, %v", i, err)
		}
		o.Key = nil
		if _, err := luksimg.Inspect(ctx, bytes.NewReader(f), int64(len(f)), o); !errors.Is(err, luksimg.ErrEncrypted) {
			t.Errorf("LUKS in LUKS, without a key: %v", err)
		}
	}
}

// TestPartitionFormat checks that the guest's data in a partition do not choose its reader.
func TestPartitionFormat(t *testing.T) {
	for _, name := range []string{"qcow/zlib.qcow2.gz", "vhd/dynamic-5m.vhd.gz"} {
		part := golden.Read("testdata/" + name)
		part = append(part, make([]byte, -len(part)&511)...)
		b := mbrWith(part)
		o := luksimg.ImageOptions{Partition: 2}
		img, err := luksimg.OpenImage(context.Background(), bytes.NewReader(b), int64(len(b)), o)
		if err != nil || img.Format != luksimg.Raw || !bytes.Equal(content(t, img), part) {
			t.Errorf("%s: %v", name, err)
		}
		i, err := luksimg.Inspect(context.Background(), bytes.NewReader(b), int64(len(b)), o)
		if err != nil || i.Format != luksimg.Raw || i.FileSize != int64(len(part)) {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
}

// TestPartitionEdit changes keys in a partition. The rest of the file must not change.
func TestPartitionEdit(t *testing.T) {
	ctx := context.Background()
	for _, version := range []int{1, 2} {
		part := encryptedDisk(t, newDisk(mib), luks.Options{Version: version})
		b := mbrWith(part)
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
		p, err := luksimg.OpenPartition(ctx, f, int64(len(b)), luksimg.ImageOptions{Partition: 2})
		if err != nil {
			t.Fatal(err)
		}
		e, err := luks.Edit(p.Writable(f), p.Size(), luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		volumeKey, _, err := e.Header().VolumeKey(ctx, key, luks.AnySlot)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.AddKey(ctx, luks.AnySlot, luks.NewKey{VolumeKey: volumeKey, Passphrase: []byte("second"), KeyOptions: luks.KeyOptions{KDF: cheap}}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(f.Name())
		if err != nil || len(got) != len(b) || !bytes.Equal(got[:2*mib], b[:2*mib]) || !bytes.Equal(got[4*mib:], b[4*mib:]) || bytes.Equal(got, b) {
			t.Errorf("LUKS%d: the file is wrong: %v", version, err)
		}
		o := luksimg.ImageOptions{Partition: 2, Key: []byte("second")}
		if _, err := luksimg.OpenImage(ctx, f, int64(len(b)), o); err != nil {
			t.Errorf("LUKS%d: %v", version, err)
		}
	}
}
