package cryptoki

import "fmt"

// A MechanismType is a CK_MECHANISM_TYPE.
type MechanismType uint

// The supported mechanisms: "PKCS #11 Cryptographic Token Interface Current Mechanisms Specification", versions 2.40
// and 3.0.
const (
	RSAOAEP       MechanismType = 0x0009
	AESGCM        MechanismType = 0x1087
	AESKeyWrapPad MechanismType = 0x210a
	AESKeyWrapKWP MechanismType = 0x210b
)

// A Mechanism is a CK_MECHANISM: an algorithm with its parameters.
type Mechanism struct {
	Type      MechanismType
	parameter func(*memory) words
}

// Plain returns a mechanism without parameters.
func Plain(t MechanismType) Mechanism { return Mechanism{Type: t} }

// GCM returns AES-GCM with a nonce and a tag of 128 bits.
func GCM(nonce []byte) Mechanism {
	return Mechanism{AESGCM, func(m *memory) words {
		return words(nil).pointer(m.at(nonce)).number(uint(len(nonce))).number(uint(len(nonce)) * 8).pointer(0).number(0).number(128)
	}}
}

// OAEP returns RSA-OAEP with SHA-256 for the hash and for MGF1, and without a label.
func OAEP() Mechanism {
	const sha256, mgf1SHA256, dataSpecified = 0x250, 2, 1
	return Mechanism{RSAOAEP, func(*memory) words {
		return words(nil).number(sha256).number(mgf1SHA256).number(dataSpecified).pointer(0).number(0)
	}}
}

// mechanism encodes a CK_MECHANISM and returns its address.
func (m *memory) mechanism(x Mechanism) uintptr {
	var p []byte
	if x.parameter != nil {
		p = x.parameter(m)
	}
	return m.at(words(nil).number(uint(x.Type)).pointer(m.at(p)).number(uint(len(p))))
}

// maxOutput is the longest output of a function, in bytes.
const maxOutput = 64 << 10

// Encrypt encrypts data with a key on the token.
func (s *Session) Encrypt(x Mechanism, key Object, data []byte) ([]byte, error) {
	return s.crypt(fnEncryptInit, fnEncrypt, "C_Encrypt", x, key, data)
}

// Decrypt decrypts data with a key on the token. The caller wipes the result.
func (s *Session) Decrypt(x Mechanism, key Object, data []byte) ([]byte, error) {
	return s.crypt(fnDecryptInit, fnDecrypt, "C_Decrypt", x, key, data)
}

func (s *Session) crypt(begin, do function, name string, x Mechanism, key Object, data []byte) ([]byte, error) {
	var mem memory
	defer mem.free()
	if err := s.m.call(begin, name+"Init", s.handle, mem.mechanism(x), uintptr(key)); err != nil {
		return nil, err
	}
	return output(&mem, len(data), func(out, n uintptr) error {
		return s.m.call(do, name, s.handle, mem.at(data), uintptr(len(data)), out, n)
	})
}

// WrapKey encrypts the value of the object what with a key on the token.
func (s *Session) WrapKey(x Mechanism, key, what Object) ([]byte, error) {
	var mem memory
	defer mem.free()
	return output(&mem, 0, func(out, n uintptr) error {
		return s.m.call(fnWrapKey, "C_WrapKey", s.handle, mem.mechanism(x), uintptr(key), uintptr(what), out, n)
	})
}

// UnwrapKey decrypts a wrapped key with a key on the token, and creates an object with the attributes all in the
// session.
func (s *Session) UnwrapKey(x Mechanism, key Object, wrapped []byte, all ...Attribute) (Object, error) {
	var mem memory
	defer mem.free()
	h := newCounter(0)
	err := s.m.call(fnUnwrapKey, "C_UnwrapKey", s.handle, mem.mechanism(x), uintptr(key), mem.at(wrapped), uintptr(len(wrapped)),
		mem.at(mem.template(all)), uintptr(len(all)), mem.at(h))
	return Object(h.value()), err
}

// output calls do with a buffer for its output. The buffer exceeds the input by more than any mechanism adds, so the
// first call normally suffices. Asking for the length first would make some modules do the work twice.
func output(mem *memory, input int, do func(out, n uintptr) error) ([]byte, error) {
	room := uint(input + 4096)
	for try := 0; ; try++ {
		out, n := make([]byte, room), newCounter(room)
		err := do(mem.at(out), mem.at(n))
		if Is(err, BufferTooSmall) && try == 0 && n.value() > room && n.value() <= maxOutput {
			room = n.value()
			continue
		}
		if err == nil && n.value() > room {
			err = fmt.Errorf("the module reports %d bytes of output in a buffer of %d", n.value(), room)
		}
		if err != nil {
			clear(out)
			return nil, err
		}
		return out[:n.value()], nil
	}
}
