package whirlpool

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// TestVectors checks the vectors of ISO/IEC 10118-3:2004.
func TestVectors(t *testing.T) {
	letters := "abcdefghijklmnopqrstuvwxyz"
	for _, v := range []struct{ name, text, want string }{
		{"nothing", "", "19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a73e83be698b288febcf88e3e03c4f0757ea8964e59b63d93708b138cc42a66eb3"},
		{"a", "a", "8aca2602792aec6f11a67206531fb7d7f0dff59413145e6973c45001d0087b42d11bc645413aeff63a42391a39145a591a92200d560195e53b478584fdae231a"},
		{"abc", "abc", "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5"},
		{"letters and digits", strings.ToUpper(letters) + letters + "0123456789", "dc37e008cf9ee69bf11f00ed9aba26901dd7c28cdec066cc6af42e40f82f3a1e08eba26629129d8fb7cb57211b9281a65517cc879d7b962142c65f5a7af01467"},
		{"80 digits", strings.Repeat("1234567890", 8), "466ef18babb0154d25b9d38a6414f5c08784372bccb204d6549c4afadb6014294d5bd8df2a6c44e538cd047b2681a51a2c60481e88c5a20b2c2a80cf3a9a083b"},
		{"a million a", strings.Repeat("a", 1e6), "0c99005beb57eff50a7cf005560ddf5d29057fd86b20bfd62deca0f1ccea4af51fc15490eddc47af32bb2b66c34ff9ad8c6008ad677f77126953b226e4ed8b01"},
	} {
		h := New()
		// Write the text in two parts, with a sum between them, after other text.
		h.Write([]byte("something else"))
		h.Reset()
		h.Write([]byte(v.text[:len(v.text)/3]))
		h.Sum(nil)
		if n, err := h.Write([]byte(v.text[len(v.text)/3:])); err != nil || n != len(v.text)-len(v.text)/3 {
			t.Errorf("%s: Write returns %d, %v", v.name, n, err)
		}
		if got := hex.EncodeToString(h.Sum([]byte{7})); got != "07"+v.want {
			t.Errorf("%s: %s, want 07%s", v.name, got, v.want)
		}
	}
}

// TestLengths hashes texts of all lengths around block boundaries. The sum is that of OpenSSL 3.0: the
// SHA-256 of the outputs of "openssl dgst -provider legacy -whirlpool -binary" for 0 to 256 bytes 0, 1,
// ... 250, 0, ...
func TestLengths(t *testing.T) {
	all := sha256.New()
	var text []byte
	for n := range 257 {
		h := New()
		h.Write(text)
		all.Write(h.Sum(nil))
		text = append(text, byte(n%251))
	}
	const want = "dfceec93826b6ad53662bb0ea3404012f8da36ffe13b35af9d9f3ceb1e948fa0"
	if got := hex.EncodeToString(all.Sum(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func BenchmarkWrite(b *testing.B) {
	h, p := New(), make([]byte, 8<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		h.Write(p)
	}
}
