package xts

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	for _, n := range []int{0, 1, 16, 31, 33, 48, 63, 65, 128} {
		if c, err := New(make([]byte, n), Options{}); err == nil || c != nil {
			t.Errorf("key of %d bytes: Cipher %v, error %v", n, c, err)
		} else if !strings.HasPrefix(err.Error(), "xts: ") {
			t.Errorf("error without the package's name: %v", err)
		}
	}
	for _, n := range []int{-512, 1, 16, 256, 511, 520, 1536, 8192} {
		if c, err := New(make([]byte, 64), Options{SectorSize: n}); err == nil || c != nil {
			t.Errorf("sector size %d: Cipher %v, error %v", n, c, err)
		}
	}
}

func TestImplementations(t *testing.T) {
	names := Implementations()
	if len(names) == 0 || names[len(names)-1] != "generic" {
		t.Fatalf("implementations %v, want generic as the last", names)
	}
	key, src := randomBytes(t, 64), randomBytes(t, 4096)
	want := refSectors(t, directions[0], key, Options{}, src, 9)
	for _, name := range append(names, "") {
		c, err := New(key, Options{Implementation: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make([]byte, len(src))
		c.Encrypt(got, src, 9)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: wrong output", name)
		}
	}
	if c, err := New(key, Options{Implementation: "abacus"}); err == nil || c != nil {
		t.Errorf("unknown implementation: Cipher %v, error %v", c, err)
	} else if !strings.HasPrefix(err.Error(), "xts: ") {
		t.Errorf("error without the package's name: %v", err)
	}
}

func TestSectorSize(t *testing.T) {
	for opt, want := range map[int]int{0: 512, 512: 512, 1024: 1024, 2048: 2048, 4096: 4096} {
		c, err := New(make([]byte, 32), Options{SectorSize: opt})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.SectorSize(); got != want {
			t.Errorf("option %d: SectorSize() = %d, want %d", opt, got, want)
		}
	}
}

func TestPanics(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 64), Options{SectorSize: 4096})
		buf := make([]byte, 4*4096)
		var tweak [16]byte
		tests := []struct {
			name     string
			dst, src []byte
			unit     bool // also misuse of the data unit methods
		}{
			{"block that is not a sector", buf[:4096], buf[:16], false},
			{"sector of another size", buf[:4096], buf[:512], false},
			{"sector and a half", buf[:8192], buf[:6144], false},
			{"odd length", buf[:4096], buf[:4095], true},
			{"short output", buf[4096:8191], buf[:4096], true},
			{"no output", nil, buf[:4096], true},
			{"output a byte later", buf[1:], buf[:8192], true},
			{"output a block later", buf[16:], buf[:8192], true},
			{"output a sector earlier", buf, buf[4096:12288], true},
			{"last byte shared", buf[4095:], buf[:4096], true},
			{"first byte shared", buf[:4096], buf[4095:8191], true},
		}
		for _, d := range directions {
			for _, test := range tests {
				wantPanic(t, d.name+" sectors: "+test.name, func() { d.sectors(c, test.dst, test.src, 0) })
				if test.unit {
					wantPanic(t, d.name+" unit: "+test.name, func() { d.unit(c, test.dst, test.src, &tweak) })
				}
			}
			big := make([]byte, maxUnitSize+blockSize)
			wantPanic(t, d.name+" unit: too long", func() { d.unit(c, big, big, &tweak) })
		}
		if !bytes.Equal(buf, make([]byte, len(buf))) {
			t.Error("a refused call wrote output")
		}
	})
}

// TestNoPanics checks calls that look like misuse but are allowed.
func TestNoPanics(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 32), Options{})
		buf := make([]byte, 2048)
		var tweak [16]byte
		for _, d := range directions {
			d.sectors(c, nil, nil, 0)
			d.sectors(c, buf, buf[:0], 1<<64-1)
			d.sectors(c, buf[512:], buf[:512], 0) // adjacent
			d.sectors(c, buf, buf[:512], 0)       // in place, dst longer
			d.unit(c, nil, nil, &tweak)
			d.unit(c, buf[16:], buf[:16], &tweak)
		}
	})
}

func TestClose(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 64), Options{SectorSize: 2048})
		k := c.kernel
		c.Close()
		c.Close()
		if !reflect.ValueOf(k).Elem().IsZero() {
			t.Error("the kernel still holds keys after Close")
		}
		if got := c.SectorSize(); got != 2048 {
			t.Errorf("SectorSize() = %d after Close, want 2048", got)
		}
		buf := make([]byte, 2048)
		for _, d := range directions {
			wantPanic(t, d.name+" sectors after Close", func() { d.sectors(c, buf, buf, 0) })
			wantPanic(t, d.name+" unit after Close", func() { d.unit(c, buf, buf, new([16]byte)) })
		}
	})
}

func TestKeyIsNotRetained(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		key := randomBytes(t, 64)
		src := randomBytes(t, 512)
		want := refSectors(t, directions[0], key, Options{}, src, 3)
		c := mustNew(t, impl, key, Options{})
		clear(key)
		got := make([]byte, 512)
		c.Encrypt(got, src, 3)
		if !bytes.Equal(got, want) {
			t.Error("wiping the caller's key changed the output")
		}
	})
}

func TestAllocs(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 64), Options{})
		buf := make([]byte, 8192)
		for _, d := range directions {
			if n := testing.AllocsPerRun(100, func() { d.sectors(c, buf, buf, 1) }); n != 0 {
				t.Errorf("%s of sectors: %v allocations a call", d.name, n)
			}
		}
		if n := testing.AllocsPerRun(100, func() {
			var tweak [16]byte
			tweak[0] = buf[0]
			c.EncryptUnit(buf, buf, &tweak)
			c.DecryptUnit(buf, buf, &tweak)
		}); n != 0 {
			t.Errorf("data units: %v allocations a call", n)
		}
	})
}

func wantPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "xts: ") {
			t.Errorf("%s: panic %q, want one that starts with \"xts: \"", what, msg)
		}
	}()
	f()
}
