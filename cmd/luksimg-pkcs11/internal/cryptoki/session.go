package cryptoki

import "fmt"

// A Session is a read-only session with a token. It is not safe for concurrent use.
type Session struct {
	m      *Module
	handle uintptr
	in     bool // whether the user is logged in
}

const (
	serialSession = 4 // CKF_SERIAL_SESSION
	user          = 1 // CKU_USER
)

// Open opens a session with the token in a slot.
func (m *Module) Open(s Slot) (*Session, error) {
	var mem memory
	defer mem.free()
	h := newCounter(0)
	if err := m.call(fnOpenSession, "C_OpenSession", uintptr(s), serialSession, 0, 0, mem.at(h)); err != nil {
		return nil, err
	}
	return &Session{m: m, handle: uintptr(h.value())}, nil
}

// Login logs the user in. It tries the PIN once. For a nil PIN the token reads the PIN from its own keypad.
func (s *Session) Login(pin []byte) error {
	var mem memory
	defer mem.free()
	err := s.m.call(fnLogin, "C_Login", s.handle, user, mem.at(pin), uintptr(len(pin)))
	if err == nil || Is(err, UserAlreadyLoggedIn) {
		s.in = true
		return nil
	}
	return err
}

// LoggedIn reports whether the user has logged in.
func (s *Session) LoggedIn() bool { return s.in }

// Close logs the user out and closes the session.
func (s *Session) Close() {
	if s.in {
		s.m.call(fnLogout, "C_Logout", s.handle)
	}
	s.m.call(fnCloseSession, "C_CloseSession", s.handle)
}

// An Object is the handle of a key on a token or in a session.
type Object uint

// An AttributeType is a CK_ATTRIBUTE_TYPE.
type AttributeType uint

// The supported attributes, section 4.
const (
	Class          AttributeType = 0x000
	OnToken        AttributeType = 0x001
	Private        AttributeType = 0x002
	Label          AttributeType = 0x003
	Value          AttributeType = 0x011
	KeyType        AttributeType = 0x100
	ID             AttributeType = 0x102
	Sensitive      AttributeType = 0x103
	Encrypt        AttributeType = 0x104
	Decrypt        AttributeType = 0x105
	Wrap           AttributeType = 0x106
	Unwrap         AttributeType = 0x107
	Modulus        AttributeType = 0x120
	PublicExponent AttributeType = 0x122
	Extractable    AttributeType = 0x162
)

// Classes and types of keys.
const (
	PrivateKey = 3
	SecretKey  = 4

	RSA           = 0x00
	GenericSecret = 0x10
	AES           = 0x1f
)

// An Attribute is an attribute of an object.
type Attribute struct {
	Type  AttributeType
	Value []byte
}

// Number returns an attribute whose value is a number.
func Number(t AttributeType, n uint) Attribute { return Attribute{t, words(nil).number(n)} }

// Bool returns an attribute whose value is a boolean.
func Bool(t AttributeType, v bool) Attribute {
	if v {
		return Attribute{t, []byte{1}}
	}
	return Attribute{t, []byte{0}}
}

// Text returns an attribute whose value is bytes.
func Text(t AttributeType, v []byte) Attribute { return Attribute{t, v} }

// template encodes an array of CK_ATTRIBUTE.
func (m *memory) template(all []Attribute) []byte {
	var w words
	for _, a := range all {
		w = w.number(uint(a.Type)).pointer(m.at(a.Value)).number(uint(len(a.Value)))
	}
	return w
}

// Find returns up to max objects that have all these attributes.
func (s *Session) Find(max int, all ...Attribute) ([]Object, error) {
	var mem memory
	defer mem.free()
	if err := s.m.call(fnFindObjectsInit, "C_FindObjectsInit", s.handle, mem.at(mem.template(all)), uintptr(len(all))); err != nil {
		return nil, err
	}
	defer s.m.call(fnFindObjectsFinal, "C_FindObjectsFinal", s.handle)
	var found []Object
	for len(found) < max {
		room := make([]byte, max*ulong)
		n := newCounter(0)
		if err := s.m.call(fnFindObjects, "C_FindObjects", s.handle, mem.at(room), uintptr(max), mem.at(n)); err != nil {
			return nil, err
		}
		if n.value() == 0 {
			break
		}
		for i := range min(n.value(), uint(max-len(found))) {
			found = append(found, Object(number(room[int(i)*ulong:])))
		}
	}
	return found, nil
}

// maxAttribute is the longest value of an attribute, in bytes.
const maxAttribute = 64 << 10

// Attribute returns the value of an attribute. It returns nil if the object lacks the attribute or does not reveal
// it.
func (s *Session) Attribute(o Object, t AttributeType) ([]byte, error) {
	const name = "C_GetAttributeValue"
	length := func(w []byte) uint { return number(w[ulong+pointerSize:]) }
	var mem memory
	defer mem.free()
	ask := words(nil).number(uint(t)).pointer(0).number(0)
	err := s.m.call(fnGetAttributeValue, name, s.handle, uintptr(o), mem.at(ask), 1)
	n := length(ask)
	if Is(err, AttributeTypeInvalid, AttributeSensitive) || err == nil && (n == 0 || unavailable(n)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if n > maxAttribute {
		return nil, fmt.Errorf("%s: an attribute has %d bytes, more than %d", name, n, maxAttribute)
	}
	value := make([]byte, n)
	ask = words(nil).number(uint(t)).pointer(mem.at(value)).number(n)
	if err := s.m.call(fnGetAttributeValue, name, s.handle, uintptr(o), mem.at(ask), 1); err != nil {
		clear(value)
		return nil, err
	}
	return value[:min(n, length(ask))], nil
}

// May reports whether a boolean attribute is true or not revealed.
func (s *Session) May(o Object, t AttributeType) bool {
	v, err := s.Attribute(o, t)
	return err == nil && (len(v) == 0 || v[0] != 0)
}

// Create creates an object in the session.
func (s *Session) Create(all ...Attribute) (Object, error) {
	var mem memory
	defer mem.free()
	h := newCounter(0)
	err := s.m.call(fnCreateObject, "C_CreateObject", s.handle, mem.at(mem.template(all)), uintptr(len(all)), mem.at(h))
	return Object(h.value()), err
}

// Destroy removes an object.
func (s *Session) Destroy(o Object) error {
	return s.m.call(fnDestroyObject, "C_DestroyObject", s.handle, uintptr(o))
}
