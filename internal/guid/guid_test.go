package guid

import "testing"

func TestParse(t *testing.T) {
	const text = "00112233-4455-6677-8899-aabbccddeeff"
	file := GUID{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	for _, s := range []string{text, "{" + text + "}", "00112233-4455-6677-8899-AABBCCDDEEFF"} {
		if g, ok := Parse(s); !ok || g != file || g.String() != text {
			t.Errorf("%q: %x, %v", s, g[:], ok)
		}
	}
	for _, s := range []string{"", "{" + text, text[:35], text + "0", "0011223344556677-8899-aabbccddeeff----", "0g112233-4455-6677-8899-aabbccddeeff"} {
		if _, ok := Parse(s); ok {
			t.Errorf("%q was parsed", s)
		}
	}
}
