package cryptoki

import "fmt"

// A Result is a CK_RV.
type Result uint

// The results that this package and its caller distinguish: section 3.6 of the base specification.
const (
	OK                         Result = 0
	HostMemory                 Result = 0x02
	SlotIDInvalid              Result = 0x03
	GeneralError               Result = 0x05
	FunctionFailed             Result = 0x06
	ArgumentsBad               Result = 0x07
	CantLock                   Result = 0x0a
	AttributeSensitive         Result = 0x11
	AttributeTypeInvalid       Result = 0x12
	AttributeValueInvalid      Result = 0x13
	ActionProhibited           Result = 0x1b
	DataInvalid                Result = 0x20
	DataLenRange               Result = 0x21
	DeviceError                Result = 0x30
	DeviceMemory               Result = 0x31
	DeviceRemoved              Result = 0x32
	EncryptedDataInvalid       Result = 0x40
	EncryptedDataLenRange      Result = 0x41
	AEADDecryptFailed          Result = 0x42
	FunctionNotSupported       Result = 0x54
	KeyHandleInvalid           Result = 0x60
	KeySizeRange               Result = 0x62
	KeyTypeInconsistent        Result = 0x63
	KeyFunctionNotPermitted    Result = 0x68
	KeyNotWrappable            Result = 0x69
	KeyUnextractable           Result = 0x6a
	MechanismInvalid           Result = 0x70
	MechanismParamInvalid      Result = 0x71
	PINIncorrect               Result = 0xa0
	PINInvalid                 Result = 0xa1
	PINLenRange                Result = 0xa2
	PINExpired                 Result = 0xa3
	PINLocked                  Result = 0xa4
	SessionCount               Result = 0xb1
	TemplateIncomplete         Result = 0xd0
	TemplateInconsistent       Result = 0xd1
	TokenNotPresent            Result = 0xe0
	TokenNotRecognized         Result = 0xe1
	UnwrappingKeyInvalid       Result = 0xf0
	UserAlreadyLoggedIn        Result = 0x100
	UserNotLoggedIn            Result = 0x101
	UserPINNotInitialized      Result = 0x102
	UserTypeInvalid            Result = 0x103
	WrappedKeyInvalid          Result = 0x110
	WrappedKeyLenRange         Result = 0x112
	CryptokiNotInitialized     Result = 0x190
	CryptokiAlreadyInitialized Result = 0x191
	BufferTooSmall             Result = 0x150
	PublicKeyInvalid           Result = 0x1b9
	FunctionRejected           Result = 0x200
)

var names = map[Result]string{
	OK: "CKR_OK", HostMemory: "CKR_HOST_MEMORY", SlotIDInvalid: "CKR_SLOT_ID_INVALID", GeneralError: "CKR_GENERAL_ERROR",
	FunctionFailed: "CKR_FUNCTION_FAILED", ArgumentsBad: "CKR_ARGUMENTS_BAD", CantLock: "CKR_CANT_LOCK",
	AttributeSensitive: "CKR_ATTRIBUTE_SENSITIVE", AttributeTypeInvalid: "CKR_ATTRIBUTE_TYPE_INVALID", AttributeValueInvalid: "CKR_ATTRIBUTE_VALUE_INVALID",
	ActionProhibited: "CKR_ACTION_PROHIBITED", DataInvalid: "CKR_DATA_INVALID", DataLenRange: "CKR_DATA_LEN_RANGE",
	DeviceError: "CKR_DEVICE_ERROR", DeviceMemory: "CKR_DEVICE_MEMORY", DeviceRemoved: "CKR_DEVICE_REMOVED",
	EncryptedDataInvalid: "CKR_ENCRYPTED_DATA_INVALID", EncryptedDataLenRange: "CKR_ENCRYPTED_DATA_LEN_RANGE", AEADDecryptFailed: "CKR_AEAD_DECRYPT_FAILED",
	FunctionNotSupported: "CKR_FUNCTION_NOT_SUPPORTED", KeyHandleInvalid: "CKR_KEY_HANDLE_INVALID", KeySizeRange: "CKR_KEY_SIZE_RANGE",
	KeyTypeInconsistent: "CKR_KEY_TYPE_INCONSISTENT", KeyFunctionNotPermitted: "CKR_KEY_FUNCTION_NOT_PERMITTED",
	KeyNotWrappable: "CKR_KEY_NOT_WRAPPABLE", KeyUnextractable: "CKR_KEY_UNEXTRACTABLE",
	MechanismInvalid: "CKR_MECHANISM_INVALID", MechanismParamInvalid: "CKR_MECHANISM_PARAM_INVALID",
	PINIncorrect: "CKR_PIN_INCORRECT", PINInvalid: "CKR_PIN_INVALID", PINLenRange: "CKR_PIN_LEN_RANGE", PINExpired: "CKR_PIN_EXPIRED", PINLocked: "CKR_PIN_LOCKED",
	SessionCount: "CKR_SESSION_COUNT", TemplateIncomplete: "CKR_TEMPLATE_INCOMPLETE", TemplateInconsistent: "CKR_TEMPLATE_INCONSISTENT",
	TokenNotPresent: "CKR_TOKEN_NOT_PRESENT", TokenNotRecognized: "CKR_TOKEN_NOT_RECOGNIZED", UnwrappingKeyInvalid: "CKR_UNWRAPPING_KEY_HANDLE_INVALID",
	UserAlreadyLoggedIn: "CKR_USER_ALREADY_LOGGED_IN", UserNotLoggedIn: "CKR_USER_NOT_LOGGED_IN", UserPINNotInitialized: "CKR_USER_PIN_NOT_INITIALIZED",
	UserTypeInvalid: "CKR_USER_TYPE_INVALID", WrappedKeyInvalid: "CKR_WRAPPED_KEY_INVALID", WrappedKeyLenRange: "CKR_WRAPPED_KEY_LEN_RANGE",
	CryptokiNotInitialized: "CKR_CRYPTOKI_NOT_INITIALIZED", CryptokiAlreadyInitialized: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
	BufferTooSmall: "CKR_BUFFER_TOO_SMALL", PublicKeyInvalid: "CKR_PUBLIC_KEY_INVALID", FunctionRejected: "CKR_FUNCTION_REJECTED",
}

// String returns the name in the specification, or the number.
func (r Result) String() string {
	if s, ok := names[r]; ok {
		return s
	}
	return fmt.Sprintf("CKR 0x%x", uint(r))
}

// An Error is the failure of a module's function.
type Error struct {
	Function string // for example "C_Login"
	Result   Result
}

func (e *Error) Error() string { return e.Function + ": " + e.Result.String() }
