package cryptoki

import (
	"encoding/binary"
	"testing"
	"unsafe"
)

// TestLayout compares the layout with the one that a C compiler makes.
func TestLayout(t *testing.T) {
	type attribute struct {
		kind   uintptr // the size of a CK_ULONG, except on Windows
		value  unsafe.Pointer
		length uintptr
	}
	for _, x := range []struct {
		windows            bool
		number, list, attr int
	}{
		{false, int(unsafe.Sizeof(uintptr(0))), int(unsafe.Offsetof(struct {
			version [2]byte
			first   unsafe.Pointer
		}{}.first)), int(unsafe.Sizeof(attribute{}))},
		{true, 4, 2, 4 + pointerSize + 4}, // #pragma pack(1)
	} {
		n := ulongSize(x.windows)
		if n != x.number || listOffset(x.windows) != x.list || n+pointerSize+n != x.attr {
			t.Errorf("windows %v: a CK_ULONG has %d bytes, a list begins at %d", x.windows, n, listOffset(x.windows))
		}
	}
	var mem memory
	defer mem.free()
	value := []byte("value")
	w := mem.template([]Attribute{Number(Class, SecretKey), {Label, value}, {ID, nil}})
	one := ulong + pointerSize + ulong
	if len(w) != 3*one || number(w[one:]) != uint(Label) || number(w[2*one-ulong:]) != 5 || number(w[3*one-ulong:]) != 0 {
		t.Errorf("% x", w)
	}
	if at := pointer(w[one+ulong:]); at != uintptr(unsafe.Pointer(&value[0])) {
		t.Errorf("a value at %x, want %p", at, &value[0])
	}
	if at := pointer(w[2*one+ulong:]); at != 0 {
		t.Errorf("nothing at %x", at)
	}
	if c := newCounter(77); c.value() != 77 || len(c) != ulong {
		t.Error(c)
	}
	for _, n := range []uint{^uint(0), uint(binary.NativeEndian.Uint32([]byte{255, 255, 255, 255}))} {
		if want := ulong == 4 || n == ^uint(0); unavailable(n) != want {
			t.Errorf("%x", n)
		}
	}
}

func TestResult(t *testing.T) {
	e := &Error{"C_Login", PINLocked}
	if e.Error() != "C_Login: CKR_PIN_LOCKED" || Result(0x80000001).String() != "CKR 0x80000001" || !Is(e, OK, PINLocked) || Is(e, OK) || Is(nil, OK) {
		t.Error(e)
	}
	for r := range names {
		if names[r] == "" {
			t.Errorf("%x has no name", uint(r))
		}
	}
}
