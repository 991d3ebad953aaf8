package luks

import "testing"

func TestSlotString(t *testing.T) {
	for want, s := range map[string]SlotInfo{
		"pbkdf2 sha256, 1000 iterations":                                         {KDF: PBKDF2, Hash: "sha256", Iterations: 1000, Bound: true, Priority: "normal"},
		"argon2id, 65536 KiB, 4 passes, 2 lanes, not bound to the data, prefer":  {KDF: Argon2id, Iterations: 4, Memory: 65536, Parallel: 2, Priority: "prefer"},
		`of type "reencrypt\x1b", cannot be used, not bound to the data, ignore`: {Type: "reencrypt\x1b", Problem: "p", Priority: "ignore"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestFieldsEnd stops the iteration early.
func TestFieldsEnd(t *testing.T) {
	n := 0
	for range (Info{Version: 2, Label: "l", Tokens: []Token{{}}}).Fields() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d fields", n)
	}
}
