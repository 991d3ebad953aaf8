package luksimg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

// stream yields the same pseudorandom bytes each time.
type stream struct{ *rand.ChaCha8 }

func newStream() stream { return stream{rand.NewChaCha8([32]byte{3})} }

// drawn are options for all kinds of images that can be made in parts.
var drawn = map[string]luksimg.EncryptOptions{
	"luks1":        {Format: luksimg.LUKS1},
	"luks2":        {Format: luksimg.LUKS2},
	"luks2-4096":   {Format: luksimg.LUKS2, LUKS: luks.Options{SectorSize: 4096}},
	"classic-luks": {Profile: luksimg.ClassicLUKS},
	"qcow2":        {Format: luksimg.QCOW2},
	"vpc-qcow2":    {Profile: luksimg.VPCQCOW2},
	"vhd":          {Format: luksimg.VHD},
	"classic-vhd":  {Profile: luksimg.ClassicVHD},
}

// keyFor returns a key that is valid for the options.
func keyFor(o luksimg.EncryptOptions) []byte {
	if o.Format == luksimg.VHD || o.Profile == luksimg.ClassicVHD {
		return vhdKey
	}
	return []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
}

// TestBlueprint makes images in parts of random sizes and compares them with the output of Encrypt with
// the same header.
func TestBlueprint(t *testing.T) {
	for name, o := range drawn {
		for _, size := range []int{0, 1, 70_000, 9<<20 + 4097} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				t.Parallel()
				o := o // the sizes of one name run at the same time
				src := newDisk(size, hole(int64(size/3), int64(size/4)))
				key := keyFor(o)
				isVHD := bytes.Equal(key, vhdKey)
				if !isVHD {
					o.LUKS.Rand, o.LUKS.UUID, o.LUKS.KDF = newStream(), "8f0a3f0a-7d2e-4d4c-9a62-6f6a2d3c0001", cheap
				}
				want := &file{}
				made, err := luksimg.Encrypt(t.Context(), want, src, key, o)
				if err != nil {
					t.Fatal(err)
				}
				if !isVHD {
					o.LUKS.Rand = newStream()
				}
				b, err := luksimg.Draw(t.Context(), src, key, o)
				if err != nil {
					t.Fatal(err)
				}
				b = again(t, b)
				if isVHD { // use the identity that Encrypt generated
					want = &file{}
					v := b.VHD
					c, err := vhd.Create(t.Context(), want, src, vhd.CreateOptions{Key: key, UniqueID: [16]byte(v.UniqueID), Timestamp: v.Timestamp, Rand: bytes.NewReader(v.KeyNonce)})
					if err != nil {
						t.Fatal(err)
					}
					made.UUID = c.UniqueID
				}
				r, err := b.Result()
				made.LUKS.Epoch = r.LUKS.Epoch // LUKS1 has no epoch
				if err != nil || fmt.Sprint(*r) != fmt.Sprint(*made) {
					t.Errorf("%v: %+v\nwant %+v", err, r, made)
				}
				w, err := b.Build(t.Context(), src, key, luksimg.BuildOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				got := inParts(t, w)
				if !bytes.Equal(got, want.b) {
					t.Errorf("the parts differ from the output of Encrypt: %d and %d bytes", len(got), len(want.b))
				}
				if same, err := b.Is(bytes.NewReader(got)); !same || err != nil {
					t.Errorf("Is: %v, %v", same, err)
				}
				got[0] ^= 1
				got[min(len(got)-1, 64<<10)] ^= 1 // the LUKS header in qcow2
				if same, err := b.Is(bytes.NewReader(got)); same || err != nil {
					t.Errorf("Is returned %v, %v for a different image", same, err)
				}
				if err := w.Fill(t.Context(), make([]byte, 2), w.Size()-1); err == nil {
					t.Error("Fill past the end returned no error")
				}
				wrong := bytes.Clone(key)
				wrong[3] ^= 1
				if _, err := b.Build(t.Context(), src, wrong, luksimg.BuildOptions{}); !errors.Is(err, luks.ErrPassphrase) && !errors.Is(err, vhd.ErrKey) {
					t.Errorf("a wrong key: %v", err)
				}
				if _, err := b.Build(t.Context(), bytes.NewReader(make([]byte, size+1)), key, luksimg.BuildOptions{}); !errors.Is(err, luksimg.ErrBlueprint) {
					t.Errorf("a disk of another size: %v", err)
				}
			})
		}
	}
}

// inParts makes an image in parts of random sizes.
func inParts(t *testing.T, w *luksimg.Builder) []byte {
	t.Helper()
	got := make([]byte, w.Size())
	rnd := rand.New(rand.NewPCG(uint64(len(got)), 9))
	for at := 0; at < len(got); {
		end := min(len(got), at+1+rnd.IntN(len(got)/3))
		if err := w.Fill(t.Context(), got[at:end], int64(at)); err != nil {
			t.Fatal(err)
		}
		at = end
	}
	return got
}

// again returns a blueprint after a round trip through JSON.
func again(t *testing.T, b *luksimg.Blueprint) *luksimg.Blueprint {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	c := new(luksimg.Blueprint)
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return c
}
