package qcow

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

func TestAES(t *testing.T) {
	for _, pass := range []string{"", "short", "exactly16bytes..", "more than sixteen bytes"} {
		w := img{size: 70_001, kinds: "-hzdc"}.build()
		encryptAES(t, w, []byte(pass))
		d := open(t, w.file, Options{Key: []byte(pass)})
		got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
		if err != nil || !bytes.Equal(got, w.guest) {
			t.Errorf("%q: the disk differs, or error: %v", pass, err)
		}
		imagetest.Source(t, d, w.guest)
	}
}

// encrypt encrypts the data clusters of an image sector by sector. It finds them by reading the
// unencrypted image.
func encrypt(t *testing.T, w *layout, sector func(b []byte, host, guest int64)) {
	t.Helper()
	d := open(t, w.file, Options{MetadataOnly: true})
	for pos := int64(0); pos < d.Size(); {
		r, err := d.disk.Next(pos, d.Size())
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); r.Kind == disk.Data && off < r.N; off += 512 {
			sector(w.file[r.Host+off:][:512], r.Host+off, pos+off)
		}
		pos += r.N
	}
}

func TestLocked(t *testing.T) {
	w := small.build()
	be.PutUint32(w.file[offCryptMethod:], cryptAES)
	d := open(t, w.file, Options{})
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	for _, err := range d.Extents(0, d.Size()) {
		if err != nil {
			t.Errorf("extents of a locked disk: %v", err)
		}
	}
	if err := open(t, small.build().file, Options{}).Unlock(t.Context(), []byte("x")); err == nil {
		t.Error("Unlock succeeded on an unencrypted disk")
	}
}

// TestLUKS reads a qcow2 image with a LUKS header made by package luks. The tests in qemu_test.go
// read LUKS headers made by QEMU.
func TestLUKS(t *testing.T) {
	const pass = "correct horse"
	var head bytes.Buffer
	h, key, err := luks.New(t.Context(), []byte(pass), luks.Options{Version: 1, KDF: luks.KDF{Iterations: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	volume, err := h.Volume(t.Context(), nil, 0, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteTo(&head); err != nil {
		t.Fatal(err)
	}
	w := img{size: 70_001, bits: 12, exts: ext(extCrypto, string(make([]byte, 16)))}.build()
	at := (int64(len(w.file)) + 4095) &^ 4095
	w.file = append(w.file, make([]byte, at-int64(len(w.file)))...)
	w.file = append(w.file, head.Bytes()...)
	be.PutUint32(w.file[offCryptMethod:], cryptLUKS)
	be.PutUint64(w.file[headerSizeV3+8:], uint64(at))
	be.PutUint64(w.file[headerSizeV3+16:], uint64(head.Len()))
	encrypt(t, w, func(b []byte, host, guest int64) { volume.EncryptSectors(b, b, host) })

	d := open(t, w.file, Options{Key: []byte(pass)})
	imagetest.Source(t, d, w.guest)
	d.Close()
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
		t.Errorf("closed: %v", err)
	}
	if err := d.Unlock(t.Context(), []byte(pass+"\n")); !errors.Is(err, luks.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	w.file[at+208] ^= 1 // damages the state of key slot 0
	var fe *image.FormatError
	_, err = Open(t.Context(), bytes.NewReader(w.file), int64(len(w.file)), Options{Key: []byte(pass)})
	if !errors.As(err, &fe) || fe.Offset != at+208 {
		t.Errorf("damaged header: %v", err)
	}
}
