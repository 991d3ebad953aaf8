package xts

import (
	"bytes"
	"testing"
)

// FuzzSectors compares every implementation with golang.org/x/crypto/xts. It cuts the input to whole
// sectors and pads the key.
func FuzzSectors(f *testing.F) {
	f.Add([]byte("key"), make([]byte, 512), uint64(0), uint8(0), uint8(0))
	f.Add(bytes.Repeat([]byte{7}, 64), bytes.Repeat([]byte{0xff}, 3*512), uint64(1<<32-2), uint8(0x20), uint8(1))
	f.Add(bytes.Repeat([]byte{9}, 64), make([]byte, 2*4096+5), uint64(1<<64-1), uint8(0x23), uint8(15))
	f.Add(bytes.Repeat([]byte{1}, 32), make([]byte, 5*1024), uint64(1<<63-3), uint8(0x05), uint8(3))
	f.Add(bytes.Repeat([]byte{2}, 64), make([]byte, 4*2048), uint64(1<<61-1), uint8(0x3e), uint8(8))
	f.Add([]byte{}, make([]byte, 17*512), uint64(1<<32-9), uint8(0x18), uint8(0))
	f.Fuzz(func(t *testing.T, keyText, data []byte, sector uint64, mode, shift uint8) {
		opts := Options{
			SectorSize: 512 << (mode & 3),
			LargeIV:    mode&4 != 0,
			Plain32:    mode&8 != 0,
		}
		d := directions[mode>>4&1]
		key := make([]byte, 32<<(mode>>5&1))
		copy(key, keyText)
		src := data[:len(data)/opts.SectorSize*opts.SectorSize]
		want := refSectors(t, d, key, opts, src, sector)
		for _, impl := range implementations {
			c := mustNew(t, impl, key, opts)
			out := make([]byte, int(shift)+len(src))[shift:]
			d.sectors(c, out, src, sector)
			if !bytes.Equal(out, want) {
				t.Errorf("%s, %s, %+v, sector %#x: wrong output", impl.name, d.name, opts, sector)
			}
			copy(out, src)
			d.sectors(c, out, out, sector)
			if !bytes.Equal(out, want) {
				t.Errorf("%s, %s, %+v, sector %#x: wrong output in place", impl.name, d.name, opts, sector)
			}
			c.Close()
		}
	})
}

// FuzzUnits compares every implementation with the generic one, on data units of any length with
// ciphertext stealing.
func FuzzUnits(f *testing.F) {
	f.Add([]byte("key"), make([]byte, 16), []byte("tweak"), false)
	f.Add(bytes.Repeat([]byte{7}, 64), make([]byte, 17), bytes.Repeat([]byte{0xff}, 16), true)
	f.Add(bytes.Repeat([]byte{9}, 64), make([]byte, 1023), []byte{}, true)
	f.Add([]byte{1}, make([]byte, 4096+48), []byte{0, 0, 0, 0, 0, 0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, keyText, data, tweakText []byte, long bool) {
		if len(data) < blockSize {
			return
		}
		key := make([]byte, 32)
		if long {
			key = make([]byte, 64)
		}
		copy(key, keyText)
		var tweak [16]byte
		copy(tweak[:], tweakText)
		ref := mustNew(t, genericImplementation, key, Options{})
		want := make([]byte, len(data))
		ref.EncryptStealing(want, data, &tweak)
		for _, impl := range implementations {
			c := mustNew(t, impl, key, Options{})
			out := bytes.Clone(data)
			c.EncryptStealing(out, out, &tweak)
			if !bytes.Equal(out, want) {
				t.Errorf("%s: wrong ciphertext", impl.name)
			}
			c.DecryptStealing(out, out, &tweak)
			if !bytes.Equal(out, data) {
				t.Errorf("%s: wrong plaintext", impl.name)
			}
			c.Close()
		}
	})
}
