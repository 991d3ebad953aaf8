package interop

import (
	"bufio"
	"crypto/aes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"
	"unsafe"

	luksgo "github.com/anatol/luks.go"
	"golang.org/x/crypto/xts"
)

// LUKSGoVolume is an image that luks.go has unlocked. Its data is decrypted with XTS of
// golang.org/x/crypto, independent of luksimg.
type LUKSGoVolume struct {
	Type       string // "LUKS1" or "LUKS2"
	Size       int64  // size of the data in bytes
	SectorSize int
	Key        []byte
	SHA256     string // hash of the decrypted data
}

// LUKSGoOpen opens an image with the first key slot that luks.go can unlock. It returns nil if the
// passphrase opens no slot.
func LUKSGoOpen(t testing.TB, image, passphrase string) *LUKSGoVolume {
	t.Helper()
	dev, err := luksgo.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, slot := range dev.Slots() {
		v, err := dev.UnsealVolume(slot, []byte(passphrase))
		if errors.Is(err, luksgo.ErrPassphraseDoesNotMatch) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return readVolume(t, image, v)
	}
	return nil
}

func readVolume(t testing.TB, image string, v *luksgo.Volume) *LUKSGoVolume {
	t.Helper()
	if v.StorageEncryption != "aes-xts-plain64" || v.StorageIvTweak != 0 {
		t.Fatalf("luks.go finds cipher %s with tweak %d", v.StorageEncryption, v.StorageIvTweak)
	}
	// The key is an unexported field: luks.go passes it only to the kernel.
	field := reflect.ValueOf(v).Elem().FieldByName("key")
	key := *(*[]byte)(unsafe.Pointer(field.UnsafeAddr()))
	out := &LUKSGoVolume{
		Type:       v.LuksType,
		Size:       int64(v.StorageSize),
		SectorSize: int(v.StorageSectorSize),
		Key:        key,
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := xts.NewCipher(aes.NewCipher, key)
	if err != nil {
		t.Fatal(err)
	}
	data := bufio.NewReaderSize(io.NewSectionReader(f, int64(v.StorageOffset), out.Size), mib)
	h := sha256.New()
	sector := make([]byte, out.SectorSize)
	// The tweak of plain64 counts units of 512 bytes for every sector size.
	for tweak := uint64(0); ; tweak += uint64(out.SectorSize / sectorSize) {
		_, err := io.ReadFull(data, sector)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err) // including an incomplete last sector
		}
		c.Decrypt(sector, sector, tweak)
		h.Write(sector)
	}
	out.SHA256 = hex.EncodeToString(h.Sum(nil))
	return out
}
