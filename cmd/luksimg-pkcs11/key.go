package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

// maxPlain is the longest key to wrap, in bytes.
const maxPlain = 8 << 10

// A key is a root key on a token.
type key struct {
	m    *cryptoki.Module
	slot cryptoki.Slot
	s    *cryptoki.Session

	object           cryptoki.Object
	class, algorithm uint
	kind             string // "secret-key" or "private", as in RFC 7512
	label            string
	id               []byte
}

// The names of wrapping methods, which begin a wrapped key.
const (
	aesKWP  = "aes-kwp"          // RFC 5649
	aesPad  = "aes-key-wrap-pad" // CKM_AES_KEY_WRAP_PAD; the specification does not define its padding
	aesGCM  = "aes-gcm"          // a nonce of 12 bytes, the ciphertext, a tag of 16 bytes
	rsaOAEP = "rsa-oaep-sha256"  // RFC 8017, with SHA-256 for the hash and for MGF1, without a label
)

const nonceSize = 12

// A method is one way to wrap a key.
type method struct {
	name string
	kind string // kind of the keys that it needs
	mech cryptoki.MechanismType
	// object selects C_WrapKey and C_UnwrapKey, which work on objects, in place of the functions for data.
	object bool
}

// methods are all methods, best first. Methods for data precede those for objects, because a token may refuse to
// create an object with a key in plain text.
var methods = []method{
	{aesKWP, "secret-key", cryptoki.AESKeyWrapKWP, false},
	{aesKWP, "secret-key", cryptoki.AESKeyWrapKWP, true},
	{aesPad, "secret-key", cryptoki.AESKeyWrapPad, false},
	{aesPad, "secret-key", cryptoki.AESKeyWrapPad, true},
	{aesGCM, "secret-key", cryptoki.AESGCM, false},
	{rsaOAEP, "private", cryptoki.RSAOAEP, false},
}

// usable returns the methods that the token supports in both directions and that the key permits. unwrap selects the
// direction to check. If name is not "", only that method counts.
func (k *key) usable(name string, unwrap bool) ([]method, error) {
	var all []method
	denied := false
	for _, x := range methods {
		if x.kind != k.kind || name != "" && x.name != name {
			continue
		}
		have, err := k.m.Mechanism(k.slot, x.mech)
		if err != nil {
			return nil, err
		}
		need, attribute := cryptoki.Encrypts|cryptoki.Decrypts, cryptoki.Encrypt
		switch {
		case x.object && unwrap:
			need, attribute = cryptoki.Wraps|cryptoki.Unwraps, cryptoki.Unwrap
		case x.object:
			need, attribute = cryptoki.Wraps|cryptoki.Unwraps, cryptoki.Wrap
		case x.name == rsaOAEP: // this program wraps with the public key
			need, attribute = cryptoki.Decrypts, cryptoki.Decrypt
		case unwrap:
			attribute = cryptoki.Decrypt
		}
		switch {
		case have&need != need:
		case !k.s.May(k.object, attribute):
			denied = true
		default:
			all = append(all, x)
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case denied:
		return nil, faultf(classDenied, "the attributes of the key do not permit this: it needs CKA_ENCRYPT and CKA_DECRYPT, or CKA_WRAP and CKA_UNWRAP")
	case name != "":
		return nil, faultf(classMechanism, "the token does not support %.32q for this key", name)
	}
	return nil, faultf(classMechanism, "the token supports neither AES-KWP nor AES-GCM for AES keys, nor RSA-OAEP for RSA keys")
}

// passing reports whether an error refuses only one method, so that the next method may succeed.
func passing(err error) bool {
	return errors.Is(err, errPadding) || cryptoki.Is(err, cryptoki.MechanismInvalid, cryptoki.MechanismParamInvalid, cryptoki.FunctionNotSupported, cryptoki.ArgumentsBad,
		cryptoki.KeyFunctionNotPermitted, cryptoki.KeyTypeInconsistent, cryptoki.KeyUnextractable, cryptoki.KeyNotWrappable, cryptoki.ActionProhibited,
		cryptoki.TemplateInconsistent, cryptoki.TemplateIncomplete, cryptoki.AttributeValueInvalid, cryptoki.AttributeTypeInvalid)
}

// each calls do for each method until one succeeds or fails for another reason than a refusal. It returns the first
// error, which is about the best method.
func each(all []method, do func(method) ([]byte, error)) (method, []byte, error) {
	var first error
	for _, x := range all {
		out, err := do(x)
		if err == nil {
			return x, out, nil
		}
		if first == nil {
			first = err
		}
		if !passing(err) {
			break
		}
	}
	return method{}, nil, first
}

// wrap encrypts data with the best available method.
func (k *key) wrap(data []byte) (name string, wrapped []byte, err error) {
	all, err := k.usable("", false)
	if err != nil {
		return "", nil, err
	}
	x, wrapped, err := each(all, func(x method) ([]byte, error) {
		switch {
		case x.name == aesPad:
			return k.wrapPadded(x, data)
		case x.object:
			return k.wrapObject(x, data)
		case x.name == rsaOAEP:
			return k.encryptOAEP(data)
		case x.name == aesGCM:
			nonce := make([]byte, nonceSize)
			rand.Read(nonce)
			out, err := k.s.Encrypt(cryptoki.GCM(nonce), k.object, data)
			return append(nonce, out...), err
		}
		return k.s.Encrypt(cryptoki.Plain(x.mech), k.object, data)
	})
	return x.name, wrapped, err
}

// unwrap decrypts data that a method wrapped.
func (k *key) unwrap(name string, wrapped []byte) ([]byte, error) {
	if name == "" {
		return nil, faultf(classRequest, "the mechanism is missing")
	}
	all, err := k.usable(name, true)
	if err != nil {
		return nil, err
	}
	_, data, err := each(all, func(x method) ([]byte, error) {
		switch {
		case x.object:
			return k.unwrapObject(x, wrapped)
		case x.name == rsaOAEP:
			return k.s.Decrypt(cryptoki.OAEP(), k.object, wrapped)
		case x.name == aesGCM && len(wrapped) < nonceSize+16:
			return nil, faultf(classData, "the wrapped key is too short")
		case x.name == aesGCM:
			return k.s.Decrypt(cryptoki.GCM(wrapped[:nonceSize]), k.object, wrapped[nonceSize:])
		}
		return k.s.Decrypt(cryptoki.Plain(x.mech), k.object, wrapped)
	})
	if cryptoki.Is(err, cryptoki.GeneralError, cryptoki.FunctionFailed, cryptoki.DataInvalid, cryptoki.DataLenRange) {
		// Modules report a wrong tag or padding by one of these errors.
		return nil, faultf(classData, "the token cannot unwrap it").because(err)
	}
	return data, err
}

// errPadding is a token that does not unwrap what it wrapped.
var errPadding = errors.New("the token does not unwrap what it wrapped by CKM_AES_KEY_WRAP_PAD")

// wrapPadded wraps with CKM_AES_KEY_WRAP_PAD, and checks that the token unwraps the result. SoftHSM 2.6 does not
// remove the padding, so it can only wrap multiples of eight bytes.
func (k *key) wrapPadded(x method, data []byte) ([]byte, error) {
	do, undo := k.wrapObject, k.unwrapObject
	if !x.object {
		do = func(x method, data []byte) ([]byte, error) {
			return k.s.Encrypt(cryptoki.Plain(x.mech), k.object, data)
		}
		undo = func(x method, data []byte) ([]byte, error) {
			return k.s.Decrypt(cryptoki.Plain(x.mech), k.object, data)
		}
	}
	wrapped, err := do(x, data)
	if err != nil {
		return nil, err
	}
	back, err := undo(x, wrapped)
	defer clear(back)
	if err != nil || !bytes.Equal(back, data) {
		return nil, errPadding
	}
	return wrapped, nil
}

// plain returns the attributes of an object whose value can be read.
func (k *key) plain() []cryptoki.Attribute {
	return []cryptoki.Attribute{
		cryptoki.Number(cryptoki.Class, cryptoki.SecretKey), cryptoki.Number(cryptoki.KeyType, cryptoki.GenericSecret),
		cryptoki.Bool(cryptoki.OnToken, false), cryptoki.Bool(cryptoki.Private, k.s.LoggedIn()),
		cryptoki.Bool(cryptoki.Sensitive, false), cryptoki.Bool(cryptoki.Extractable, true),
	}
}

// wrapObject creates a session object from data and has the token wrap it.
func (k *key) wrapObject(x method, data []byte) ([]byte, error) {
	o, err := k.s.Create(append(k.plain(), cryptoki.Text(cryptoki.Value, data))...)
	if err != nil {
		return nil, err
	}
	defer k.s.Destroy(o)
	return k.s.WrapKey(cryptoki.Plain(x.mech), k.object, o)
}

func (k *key) unwrapObject(x method, wrapped []byte) ([]byte, error) {
	o, err := k.s.UnwrapKey(cryptoki.Plain(x.mech), k.object, wrapped, k.plain()...)
	if err != nil {
		return nil, err
	}
	defer k.s.Destroy(o)
	data, err := k.s.Attribute(o, cryptoki.Value)
	if err == nil && len(data) == 0 {
		err = faultf(classDenied, "the token does not reveal the key that it unwrapped")
	}
	return data, err
}

// encryptOAEP wraps with the public half of the key, without the token.
func (k *key) encryptOAEP(data []byte) ([]byte, error) {
	n, err := k.s.Attribute(k.object, cryptoki.Modulus)
	if err != nil {
		return nil, err
	}
	e, err := k.s.Attribute(k.object, cryptoki.PublicExponent)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if len(n) < 256 || len(n) > 2048 || !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > 1<<31-1 {
		return nil, faultf(classKey, "the RSA key has fewer than 2048 bits, or does not reveal its public half")
	}
	out, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, data, nil)
	if errors.Is(err, rsa.ErrMessageTooLong) {
		return nil, faultf(classMechanism, "a key of %d bytes is too long for an RSA key of %d bits", len(data), len(n)*8)
	}
	return out, err
}

// classOf returns the class of a module's error.
func classOf(err error) string {
	switch {
	case cryptoki.Is(err, cryptoki.WrappedKeyInvalid, cryptoki.WrappedKeyLenRange, cryptoki.EncryptedDataInvalid, cryptoki.EncryptedDataLenRange, cryptoki.AEADDecryptFailed):
		return classData
	case cryptoki.Is(err, cryptoki.MechanismInvalid, cryptoki.MechanismParamInvalid, cryptoki.FunctionNotSupported, cryptoki.ArgumentsBad,
		cryptoki.KeyTypeInconsistent, cryptoki.KeySizeRange, cryptoki.TemplateInconsistent, cryptoki.TemplateIncomplete, cryptoki.AttributeValueInvalid, cryptoki.AttributeTypeInvalid):
		return classMechanism
	case cryptoki.Is(err, cryptoki.KeyFunctionNotPermitted, cryptoki.UserNotLoggedIn, cryptoki.ActionProhibited, cryptoki.FunctionRejected, cryptoki.UserTypeInvalid,
		cryptoki.KeyUnextractable, cryptoki.KeyNotWrappable):
		return classDenied
	}
	return classDevice
}
