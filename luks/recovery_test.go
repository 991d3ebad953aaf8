package luks

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecoveryKey checks the text for known bytes, as systemd-cryptenroll would print it.
func TestRecoveryKey(t *testing.T) {
	b := make([]byte, recoveryBytes)
	for i := range b {
		b[i] = byte(i*8 + i)
	}
	got, err := newRecoveryKey(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if want := hexAsModhex(b); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := newRecoveryKey(strings.NewReader("short")); err == nil {
		t.Error("too few random bytes were accepted")
	}
}

// hexAsModhex spells bytes in groups, by way of their hexadecimal digits.
func hexAsModhex(b []byte) string {
	const digits = "0123456789abcdef"
	var text strings.Builder
	for _, c := range b {
		text.WriteByte(digits[c/16])
		text.WriteByte(digits[c%16])
	}
	plain := strings.Map(func(r rune) rune { return rune(modhex[strings.IndexRune(digits, r)]) }, text.String())
	var groups []string
	for ; plain != ""; plain = plain[8:] {
		groups = append(groups, plain[:8])
	}
	return strings.Join(groups, "-")
}

func TestNormalRecoveryKey(t *testing.T) {
	const key = "cbdefghi-jklnrtuv-cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-cccccccc-vvvvvvvv"
	plain := strings.ReplaceAll(key, "-", "")
	for _, c := range []struct {
		typed string
		is    bool
	}{
		{key, true}, {plain, true}, {strings.ToUpper(key), true}, {strings.ToUpper(plain), true},
		{"Cb" + key[2:], true},
		{key + "\n", true}, {" " + key + " \r\n", true}, {strings.ReplaceAll(key, "-", " "), true}, {strings.ReplaceAll(key, "-", " - "), true},
		{strings.ReplaceAll(key, "-", "\r\n") + "\t", true}, {plain[:3] + " " + plain[3:], true},
		{key + strings.Repeat(" ", maxTyped-recoverySize), true}, {key + strings.Repeat(" ", maxTyped), false},
		{strings.Replace(key, "-", "", 1), false}, {strings.Replace(key, "-", "--", 1), false}, {key + "-", false}, {"-" + key, false}, {key + "c", false}, {plain + "c", false},
		{"cbde-fghi" + key[8:], false}, {strings.Replace(key, "-", "\x00", 1), false}, {strings.Replace(key, "-", "\u00a0", 1), false},
		{key[1:], false}, {plain[1:], false}, {"", false}, {"\n", false}, {"a" + plain[1:], false}, {"a" + key[1:], false},
		{strings.ReplaceAll(key, "-", "c"), false}, {"-" + key[1:], false},
		{strings.Repeat("-", recoverySize), false}, {strings.Repeat("-", recoveryText), false}, {strings.Repeat("\xff", recoveryText), false},
		{strings.Repeat("3", recoveryText), false}, // not in the alphabet: 'c' with bit 5 or others changed
	} {
		got := normalRecoveryKey([]byte(c.typed))
		if c.is && string(got) != key || !c.is && got != nil {
			t.Errorf("%q: %q", c.typed, got)
		}
	}
}

// TestRecoverySlot checks that only a key slot with the token accepts typed forms of a recovery key.
func TestRecoverySlot(t *testing.T) {
	ctx := context.Background()
	name := filepath.Join(t.TempDir(), "image")
	fast := KDF{Type: PBKDF2, Iterations: 1000}
	key, err := NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	h, volumeKey, err := New(ctx, []byte("first"), Options{Version: 2, KDF: fast})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := h.WriteHeader(f); err != nil {
		t.Fatal(err)
	}
	size := h.DataOffset() + 1<<20
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	e, err := Edit(f, size, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	slot, err := e.AddKey(ctx, AnySlot, NewKey{VolumeKey: volumeKey, Passphrase: key, KeyOptions: KeyOptions{KDF: fast, GeneratedKey: true}})
	if err != nil {
		t.Fatal(err)
	}
	typed := []byte(strings.ReplaceAll(strings.ToUpper(string(key)), "-", ""))
	if _, _, err := e.Header().VolumeKey(ctx, typed, AnySlot); !errors.Is(err, ErrPassphrase) {
		t.Errorf("without the token: %v", err)
	}
	token, err := TokenFor([]byte(`{"type":"systemd-recovery"}`), slot)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddToken(token, AnyToken); err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{key, typed} {
		for _, n := range []int{AnySlot, slot} {
			got, opened, err := e.Header().VolumeKey(ctx, text, n)
			if err != nil || opened != slot || !bytes.Equal(got, volumeKey) {
				t.Errorf("%s, slot %d: %d, %v", text, n, opened, err)
			}
		}
	}
	if _, _, err := e.Header().VolumeKey(ctx, []byte("first"), AnySlot); err != nil {
		t.Error(err)
	}
	// A slot that was changed with a typed form opens with both forms.
	if n, err := e.ChangeKey(ctx, typed, typed, KeyOptions{KDF: fast}); err != nil || n != slot {
		t.Fatal(n, err)
	}
	for _, text := range [][]byte{key, typed} {
		if _, n, err := e.Header().VolumeKey(ctx, text, AnySlot); err != nil || n != slot {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	// A token that was added to the wrong key slot must not lock anybody out.
	odd := []byte(strings.Repeat("c", recoveryText))
	n, err := e.AddKey(ctx, AnySlot, NewKey{VolumeKey: volumeKey, Passphrase: odd, KeyOptions: KeyOptions{KDF: fast}})
	if err != nil {
		t.Fatal(err)
	}
	if token, err = TokenFor([]byte(`{"type":"systemd-recovery"}`), n); err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddToken(token, AnyToken); err != nil {
		t.Fatal(err)
	}
	if _, opened, err := e.Header().VolumeKey(ctx, odd, AnySlot); err != nil || opened != n {
		t.Errorf("%d, %v", opened, err)
	}
}

// FuzzRecoveryKey checks that an accepted recovery key is valid, and that its standard form is stable.
func FuzzRecoveryKey(f *testing.F) {
	key := hexAsModhex(make([]byte, recoveryBytes))
	f.Add([]byte(key))
	f.Add([]byte(strings.ToUpper(strings.ReplaceAll(key, "-", ""))))
	f.Fuzz(func(t *testing.T, typed []byte) {
		normal := normalRecoveryKey(typed)
		if normal == nil {
			return
		}
		plain := func(b []byte) string { return strings.ToLower(strings.ReplaceAll(string(b), "-", "")) }
		if len(normal) != recoverySize || plain(normal) != plain(typed) || !bytes.Equal(normalRecoveryKey(normal), normal) {
			t.Fatalf("%q: %q", typed, normal)
		}
	})
}
