//go:build (amd64 || arm64) && !purego

package xts

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"
)

// TestExpandKey checks the last round keys of FIPS 197, appendices A.1 and A.3.
func TestExpandKey(t *testing.T) {
	for _, test := range []struct {
		key    string
		rounds int
		last   string
	}{
		{"2b7e151628aed2a6abf7158809cf4f3c", 10, "d014f9a8c9ee2589e13f0cc8b6630ca6"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 14,
			"fe4890d1e6188d0b046df344706c631e"},
	} {
		key, err := hex.DecodeString(test.key)
		if err != nil {
			t.Fatal(err)
		}
		var k roundKeys
		if rounds := expandKey(&k, key); rounds != test.rounds {
			t.Errorf("%d rounds, want %d", rounds, test.rounds)
		}
		if got := hex.EncodeToString(k[test.rounds][:]); got != test.last {
			t.Errorf("last round key %s, want %s", got, test.last)
		}
		if !bytes.Equal(bytes.Join([][]byte{k[0][:], k[1][:]}, nil)[:len(key)], key) {
			t.Error("the first round keys are not the key")
		}
	}
}

// TestSubstitute compares the S-box with that of crypto/aes. With known round keys, a single encryption
// reveals the last SubBytes.
func TestSubstitute(t *testing.T) {
	seen := map[byte]bool{}
	for i := range 256 {
		s := substitute(uint32(i) * 0x01010101)
		if s != s&0xff*0x01010101 {
			t.Fatalf("S-box of %#x differs between bytes: %#x", i, s)
		}
		seen[byte(s)] = true
	}
	if len(seen) != 256 {
		t.Errorf("the S-box has %d values, want 256", len(seen))
	}
	if got := substitute(0xff530100); got != 0x16ed7c63 {
		t.Errorf("S-box of ff, 53, 01, 00 is %#x, want 16, ed, 7c, 63", got)
	}
}

// TestRoundKeys runs the textbook cipher on random keys and compares with crypto/aes: encryption with
// the expanded keys, decryption with the inverted keys.
func TestRoundKeys(t *testing.T) {
	for _, size := range []int{16, 32} {
		for range 50 {
			key := randomBytes(t, size)
			block, err := aes.NewCipher(key)
			if err != nil {
				t.Fatal(err)
			}
			var enc, dec roundKeys
			rounds := expandKey(&enc, key)
			invertKey(&dec, &enc, rounds)

			plain := [blockSize]byte(randomBytes(t, blockSize))
			var want [blockSize]byte
			block.Encrypt(want[:], plain[:])
			if got := textbookEncrypt(&enc, rounds, plain); got != want {
				t.Fatalf("key of %d bytes: encrypts to %x, want %x", size, got, want)
			}
			if got := textbookDecrypt(&dec, rounds, want); got != plain {
				t.Fatalf("key of %d bytes: decrypts to %x, want %x", size, got, plain)
			}
		}
	}
}

// textbookEncrypt is Cipher of FIPS 197, section 5.1.
func textbookEncrypt(k *roundKeys, rounds int, state [blockSize]byte) [blockSize]byte {
	xor(&state, &k[0])
	for r := 1; r <= rounds; r++ {
		var next [blockSize]byte
		for i := range next {
			next[i] = byte(substitute(uint32(state[(5*i)%blockSize]))) // ShiftRows
		}
		if r < rounds {
			mixColumns(&next, [4]uint32{2, 3, 1, 1})
		}
		xor(&next, &k[r])
		state = next
	}
	return state
}

// textbookDecrypt is EqInvCipher of FIPS 197, section 5.3.5.
func textbookDecrypt(k *roundKeys, rounds int, state [blockSize]byte) [blockSize]byte {
	var inverse [256]byte
	for i := range 256 {
		inverse[byte(substitute(uint32(i)))] = byte(i)
	}
	xor(&state, &k[0])
	for r := 1; r <= rounds; r++ {
		var next [blockSize]byte
		for i := range next {
			next[i] = inverse[state[(13*i)%blockSize]] // InvShiftRows
		}
		if r < rounds {
			mixColumns(&next, [4]uint32{14, 11, 13, 9})
		}
		xor(&next, &k[r])
		state = next
	}
	return state
}

func mixColumns(state *[blockSize]byte, row [4]uint32) {
	var next [blockSize]byte
	for i := range next {
		for j, factor := range row {
			next[i] ^= byte(multiply(uint32(state[i/4*4+(i+j)%4]), factor))
		}
	}
	*state = next
}

func xor(state, with *[blockSize]byte) {
	for i := range state {
		state[i] ^= with[i]
	}
}
