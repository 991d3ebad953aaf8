package pbkdf2

import (
	"encoding"
	"hash"
)

// An hmacState is HMAC (RFC 2104) with one key. In place of the key it holds the hash states after the
// first block, if the hash can be marshaled. crypto/hmac does the same but keeps the blocks, and the
// end of a key that is longer than a block.
type hmacState struct {
	inner, outer hash.Hash
	// The states of inner and outer after the key's block, or nil.
	innerKeyed, outerKeyed []byte
	// The key's blocks, for a hash that cannot be marshaled.
	innerPad, outerPad []byte
	digest             []byte // of the inner hash
}

func newHMAC(newHash func() hash.Hash, key []byte) *hmacState {
	m := &hmacState{inner: newHash(), outer: newHash()}
	size := m.inner.BlockSize()
	m.innerPad, m.outerPad = make([]byte, size), make([]byte, size)
	m.digest = make([]byte, m.inner.Size())
	if len(key) > size {
		m.inner.Write(key)
		key = m.inner.Sum(m.digest[:0])
	}
	copy(m.innerPad, key)
	copy(m.outerPad, key)
	for i := range size {
		m.innerPad[i] ^= 0x36
		m.outerPad[i] ^= 0x5c
	}
	clear(m.digest)
	scrub(m.inner)
	m.innerKeyed = keyed(m.inner, m.innerPad)
	m.outerKeyed = keyed(m.outer, m.outerPad)
	if m.innerKeyed != nil && m.outerKeyed != nil {
		clear(m.innerPad)
		clear(m.outerPad)
	} else {
		m.innerKeyed, m.outerKeyed = nil, nil
	}
	return m
}

// keyed returns the state of h after a block, or nil if h cannot be marshaled.
func keyed(h hash.Hash, block []byte) []byte {
	m, ok := h.(encoding.BinaryMarshaler)
	if _, back := h.(encoding.BinaryUnmarshaler); !ok || !back {
		return nil
	}
	h.Reset()
	h.Write(block)
	state, err := m.MarshalBinary()
	if err != nil {
		return nil
	}
	return state
}

// begin sets h to the state after the key's block.
func begin(h hash.Hash, state, pad []byte) {
	if state != nil {
		if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) == nil {
			return
		}
		panic("pbkdf2: internal error: a hash does not accept its own state")
	}
	h.Reset()
	h.Write(pad)
}

func (m *hmacState) size() int { return len(m.digest) }

// sum writes the MAC of all parts to dst, which has the length of a digest.
func (m *hmacState) sum(dst []byte, parts ...[]byte) {
	begin(m.inner, m.innerKeyed, m.innerPad)
	for _, p := range parts {
		m.inner.Write(p)
	}
	m.digest = m.inner.Sum(m.digest[:0])
	begin(m.outer, m.outerKeyed, m.outerPad)
	m.outer.Write(m.digest)
	m.outer.Sum(dst[:0])
}

// wipe overwrites all that depends on the key.
func (m *hmacState) wipe() {
	for _, p := range [][]byte{m.innerKeyed, m.outerKeyed, m.innerPad, m.outerPad, m.digest} {
		clear(p)
	}
	scrub(m.inner)
	scrub(m.outer)
}

// scrub overwrites the buffer of h with zeros, because Reset leaves the last bytes there.
func scrub(h hash.Hash) {
	h.Reset()
	zeros := make([]byte, h.BlockSize())
	h.Write(zeros[1:])
	h.Write(zeros[:1])
	h.Reset()
}

// MAC returns the HMAC of the concatenated parts. It leaves no copy of key and parts in memory.
func MAC(newHash func() hash.Hash, key []byte, parts ...[]byte) []byte {
	m := newHMAC(newHash, key)
	defer m.wipe()
	out := make([]byte, m.size())
	m.sum(out, parts...)
	return out
}
