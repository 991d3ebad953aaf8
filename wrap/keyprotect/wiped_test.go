package keyprotect

import (
	"bytes"
	"io"
	"testing"
)

// TestWiped checks that Close wipes the body of a response.
func TestWiped(t *testing.T) {
	body := []byte(`{"plaintext":"c2VjcmV0"}`)
	w := &wiped{bytes.NewReader(body), body}
	if b, err := io.ReadAll(w); err != nil || string(b) != `{"plaintext":"c2VjcmV0"}` {
		t.Errorf("%s, %v", b, err)
	}
	w.Close()
	if !bytes.Equal(body, make([]byte, len(body))) {
		t.Errorf("%s is left", body)
	}
}
