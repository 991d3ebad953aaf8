// Package cryptoki calls PKCS#11 modules without cgo. It covers the functions that find a key on a token and encrypt
// with it.
//
// The names and the layout are those of "PKCS #11 Cryptographic Token Interface Base Specification Version 2.40"
// (OASIS). A [Module] is not safe for concurrent use.
package cryptoki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

const getFunctionList = "C_GetFunctionList"

// A function is the index of a pointer in a CK_FUNCTION_LIST, section 3.7.
type function int

const (
	fnInitialize        function = 0
	fnFinalize          function = 1
	fnGetSlotList       function = 4
	fnGetTokenInfo      function = 6
	fnGetMechanismInfo  function = 8
	fnOpenSession       function = 12
	fnCloseSession      function = 13
	fnLogin             function = 18
	fnLogout            function = 19
	fnCreateObject      function = 20
	fnDestroyObject     function = 22
	fnGetAttributeValue function = 24
	fnFindObjectsInit   function = 26
	fnFindObjects       function = 27
	fnFindObjectsFinal  function = 28
	fnEncryptInit       function = 29
	fnEncrypt           function = 30
	fnDecryptInit       function = 33
	fnDecrypt           function = 34
	fnWrapKey           function = 60
	fnUnwrapKey         function = 61

	functions = 68 // number of functions in version 2
)

// A Module is a loaded and initialized library.
type Module struct{ fn [functions]uintptr }

// ErrModule is a library that is not a PKCS#11 module.
var ErrModule = errors.New("not a PKCS#11 module")

// Open loads a module and initializes it. Loading runs the module's code. A library that is not a module is
// [ErrModule].
func Open(path string) (*Module, error) { return OpenWith(path, "") }

// OpenWith is [Open] for modules that read a text from the reserved member of their initialization arguments, as NSS
// does.
func OpenWith(path, reserved string) (*Module, error) {
	get, err := load(path)
	if err != nil {
		return nil, err
	}
	var list unsafe.Pointer
	if r := result(call(get, uintptr(unsafe.Pointer(&list)))); r != OK {
		return nil, &Error{getFunctionList, r}
	}
	if list == nil {
		return nil, fmt.Errorf("%w: its list of functions is missing", ErrModule)
	}
	m := new(Module)
	raw := unsafe.Slice((*byte)(list), listOffset(onWindows)+functions*pointerSize)
	if raw[0] < 2 {
		return nil, fmt.Errorf("%w: its version is %d.%d, want 2.0 or later", ErrModule, raw[0], raw[1])
	}
	for i := range m.fn {
		m.fn[i] = pointer(raw[listOffset(onWindows)+i*pointerSize:])
	}
	return m, m.initialize(reserved)
}

func pointer(b []byte) uintptr {
	if pointerSize == 4 {
		return uintptr(binary.NativeEndian.Uint32(b))
	}
	return uintptr(binary.NativeEndian.Uint64(b))
}

// result converts a register to a CK_RV.
func result(r uintptr) Result {
	if ulong == 4 {
		return Result(uint32(r))
	}
	return Result(r)
}

func (m *Module) call(fn function, name string, args ...uintptr) error {
	if m.fn[fn] == 0 {
		return &Error{name, FunctionNotSupported}
	}
	if r := result(call(m.fn[fn], args...)); r != OK {
		return &Error{name, r}
	}
	return nil
}

// Is reports whether err is an [Error] with one of these results.
func Is(err error, results ...Result) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, r := range results {
		if e.Result == r {
			return true
		}
	}
	return false
}

const osLocking = 2 // CKF_OS_LOCKING_OK

// initialize allows the module to use operating-system locks, because Go uses threads. If the module refuses,
// initialize calls it without arguments.
func (m *Module) initialize(reserved string) error {
	var mem memory
	defer mem.free()
	var text []byte
	if reserved != "" {
		text = append([]byte(reserved), 0)
	}
	args := words(nil).pointer(0).pointer(0).pointer(0).pointer(0).number(osLocking).pointer(mem.at(text)).pointer(0)
	err := m.call(fnInitialize, "C_Initialize", mem.at(args))
	if Is(err, CantLock, ArgumentsBad) {
		err = m.call(fnInitialize, "C_Initialize", 0)
	}
	if Is(err, CryptokiAlreadyInitialized) {
		return nil
	}
	return err
}

// Close finalizes the module. Its code stays loaded.
func (m *Module) Close() error { return m.call(fnFinalize, "C_Finalize", 0) }

// A Slot is the ID of a slot, which can hold a token.
type Slot uint

// A Token describes a token. Its texts have no trailing spaces.
type Token struct {
	Slot                               Slot
	Label, Manufacturer, Model, Serial string
	Flags                              TokenFlags
}

// TokenFlags are the flags of CK_TOKEN_INFO.
type TokenFlags uint

// The flags that this package uses, section 3.2.
const (
	LoginRequired  TokenFlags = 0x4
	PINInitialized TokenFlags = 0x8
	PINPad         TokenFlags = 0x100 // CKF_PROTECTED_AUTHENTICATION_PATH
	Initialized    TokenFlags = 0x400
	PINFinalTry    TokenFlags = 0x20000
	PINIsLocked    TokenFlags = 0x40000
	PINToBeChanged TokenFlags = 0x80000
)

// maxSlots is the largest number of slots of a module.
const maxSlots = 1024

// Tokens returns the tokens that are present.
func (m *Module) Tokens() ([]Token, error) {
	slots, err := m.slots()
	if err != nil {
		return nil, err
	}
	var all []Token
	for _, s := range slots {
		t, err := m.token(s)
		if Is(err, TokenNotPresent, TokenNotRecognized, SlotIDInvalid, DeviceRemoved) {
			continue // the token was removed, or the module does not know its type
		}
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (m *Module) slots() ([]Slot, error) {
	const name = "C_GetSlotList"
	for try := 0; ; try++ {
		var mem memory
		n := newCounter(0)
		if err := m.call(fnGetSlotList, name, 1, 0, mem.at(n)); err != nil {
			mem.free()
			return nil, err
		}
		if n.value() > maxSlots {
			mem.free()
			return nil, fmt.Errorf("%s: %d slots, more than %d", name, n.value(), maxSlots)
		}
		if n.value() == 0 {
			mem.free()
			return nil, nil
		}
		room := n.value()
		list := make([]byte, int(room)*ulong)
		err := m.call(fnGetSlotList, name, 1, mem.at(list), mem.at(n))
		mem.free()
		if Is(err, BufferTooSmall) && try < 3 {
			continue // a slot was added
		}
		if err != nil {
			return nil, err
		}
		var slots []Slot
		for i := range min(n.value(), room) {
			slots = append(slots, Slot(number(list[int(i)*ulong:])))
		}
		return slots, nil
	}
}

// token returns the description of the token in a slot, from its CK_TOKEN_INFO. Spaces pad each text.
func (m *Module) token(s Slot) (Token, error) {
	var mem memory
	defer mem.free()
	info := make([]byte, 512) // more than a CK_TOKEN_INFO on any platform
	if err := m.call(fnGetTokenInfo, "C_GetTokenInfo", uintptr(s), mem.at(info)); err != nil {
		return Token{}, err
	}
	text := func(from, n int) string { return string(bytes.TrimRight(info[from:from+n], " \x00")) }
	return Token{s, text(0, 32), text(32, 32), text(64, 16), text(80, 16), TokenFlags(number(info[96:]))}, nil
}

// MechanismFlags are the flags of CK_MECHANISM_INFO.
type MechanismFlags uint

// The operations of a mechanism, section 3.2.
const (
	Encrypts MechanismFlags = 0x100
	Decrypts MechanismFlags = 0x200
	Wraps    MechanismFlags = 0x20000
	Unwraps  MechanismFlags = 0x40000
)

// Mechanism returns the operations for which a token supports a mechanism, or 0 if it does not support it.
func (m *Module) Mechanism(s Slot, t MechanismType) (MechanismFlags, error) {
	var mem memory
	defer mem.free()
	info := make([]byte, 3*ulong)
	err := m.call(fnGetMechanismInfo, "C_GetMechanismInfo", uintptr(s), uintptr(t), mem.at(info))
	if Is(err, MechanismInvalid) {
		return 0, nil
	}
	return MechanismFlags(number(info[2*ulong:])), err
}
