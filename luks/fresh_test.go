package luks_test

import (
	"bytes"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// TestFresh makes headers with the same passphrase. Their volume keys, UUIDs and key slots must differ.
func TestFresh(t *testing.T) {
	for _, version := range []int{1, 2} {
		var keys [][]byte
		uuids, blocks := map[string]bool{}, map[string]bool{}
		for range 3 {
			h, key, err := luks.New(t.Context(), passphrase, luks.Options{Version: version, KDF: cheap})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if bytes.Equal(k, key) {
					t.Errorf("LUKS%d: two images have the same volume key", version)
				}
			}
			keys = append(keys, bytes.Clone(key))
			if u := h.Info().UUID; u == "" || uuids[u] {
				t.Errorf("LUKS%d: two images have the UUID %q", version, u)
			} else {
				uuids[u] = true
			}
			var b bytes.Buffer
			if _, err := h.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			s := h.Info().Keyslots[0]
			area := b.Bytes()[s.Offset : s.Offset+int64(s.KeyBits/8*4000)]
			for i := 0; i < len(area); i += 16 {
				if block := string(area[i : i+16]); blocks[block] {
					t.Fatalf("LUKS%d: two key slots have a block in common", version)
				} else {
					blocks[block] = true
				}
			}
		}
	}
}
