// Package kmsuri parses the names of root keys. Each keeper of root keys has its own scheme.
//
//	local:FILE        a root key in a file: package wrap/local
//	ibm:CRN           IBM Key Protect or Hyper Protect Crypto Services: package wrap/keyprotect
//	vault:MOUNT/KEY   the transit engine of HashiCorp Vault or OpenBao: package wrap/vault
//	awskms:ARN        AWS Key Management Service: package wrap/awskms
//	pkcs11:...        a key on a PKCS#11 token, by a URI of RFC 7512: package wrap/pkcs11
//
// If an envelope or a token names the key, the scheme alone is enough, except for local. This package opens no
// files and sends no requests.
package kmsuri

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/wrap"
)

// A Scheme says who keeps a root key.
type Scheme string

// The schemes.
const (
	Local  Scheme = "local"
	IBM    Scheme = "ibm"
	Vault  Scheme = "vault"
	AWSKMS Scheme = "awskms"
	PKCS11 Scheme = "pkcs11"
)

// ErrURI means that a text names no root key.
var ErrURI = errors.New("not the name of a root key")

// forms describe the URIs of each scheme, as advice.
var forms = map[Scheme]string{
	Local:  "want local:FILE; luksimg keygen --kms local:FILE makes a root key",
	IBM:    "want ibm:CRN; luksimg rootkey list prints the CRNs of root keys",
	Vault:  "want vault:MOUNT/KEY, as in vault:transit/images",
	AWSKMS: "want awskms:ARN; aws kms describe-key prints the ARN of a key",
	PKCS11: "want pkcs11:token=TOKEN;object=KEY, in quotes for the shell",
}

// Form returns the form of a URI of the scheme, as advice. For an unknown scheme it lists all forms.
func (s Scheme) Form() string {
	if f, ok := forms[s]; ok {
		return f
	}
	return "want local:FILE, ibm:CRN, vault:MOUNT/KEY, awskms:ARN or pkcs11:token=TOKEN;object=KEY"
}

// ErrOther means that an envelope names another root key than the URI.
var ErrOther = advice.New("another root key wrapped the key", "name the root key that wrapped it")

// A URI names a root key. With an empty Name it stands for the key of this scheme that an envelope names.
type URI struct {
	Scheme Scheme
	Name   string // FILE, CRN, MOUNT/KEY, ARN, or the input of [ParseToken]
}

// String returns the URI in the form that [Parse] reads.
func (u URI) String() string {
	if u.Name == "" {
		return string(u.Scheme)
	}
	return string(u.Scheme) + ":" + u.Name
}

// Parse parses a URI. Errors match [ErrURI].
func Parse(s string) (URI, error) {
	scheme, name, named := strings.Cut(s, ":")
	u := URI{Scheme(scheme), name}
	check, ok := checks[u.Scheme]
	switch {
	case !ok:
		return URI{}, wrong(s, "no such scheme")
	case named && name == "", !named && u.Scheme == Local:
		return URI{}, wrong(s, "it names no key")
	case !named:
		return u, nil
	}
	if reason := check(name); reason != "" {
		return URI{}, wrong(s, reason)
	}
	return u, nil
}

var pin = regexp.MustCompile(`(?i)\bpin\b`)

func wrong(s, reason string) error {
	if strings.HasPrefix(s, string(PKCS11)+":") { // the user may have put a PIN in the wrong place
		s, _, _ = strings.Cut(s, "?")
		if at := pin.FindStringIndex(s); at != nil {
			s = s[:at[0]] + "..."
		}
	}
	scheme, _, _ := strings.Cut(s, ":")
	return advice.With(fmt.Errorf("%.200q: %w: %s", s, ErrURI, reason), Scheme(scheme).Form())
}

// checks return what is wrong with a name, or "".
var checks = map[Scheme]func(name string) string{
	Local: func(string) string { return "" },
	IBM: func(name string) string {
		if _, err := crn.ParseRootKey(name); err != nil {
			return "it is not the CRN of a root key"
		}
		return ""
	},
	Vault: func(name string) string {
		if _, _, ok := Transit(name); !ok {
			return "want MOUNT/KEY"
		}
		return ""
	},
	AWSKMS: func(name string) string {
		switch _, ok := ParseARN(name); {
		case ok:
			return ""
		case strings.Contains(name, ":alias/"):
			return "an alias can point to another key later: name the key by its own ARN"
		}
		return "want the ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID"
	},
	PKCS11: func(name string) string {
		_, reason := parseToken(name)
		return reason
	},
}

// Vault's rules: the path of a mount, and GenericNameRegex of Vault's framework for the name of a key.
var (
	mountName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?$`)
	keyName   = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)
)

// maxName is the longest name of a key in an envelope, in bytes.
const maxName = 512

// Transit splits MOUNT/KEY. The mount can contain slashes. ok reports whether both parts are valid names.
func Transit(name string) (mount, key string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 || len(name) > maxName {
		return "", "", false
	}
	mount, key = name[:i], name[i+1:]
	for part := range strings.SplitSeq(mount, "/") {
		if !mountName.MatchString(part) {
			return "", "", false
		}
	}
	return mount, key, keyName.MatchString(key)
}

// An ARN is the Amazon Resource Name of a KMS key.
type ARN struct{ Partition, Region, Account, ID string }

var arn = regexp.MustCompile(`^arn:(aws[a-z-]{0,20}):kms:([a-z]{2,10}(?:-[a-z]{1,20}){1,3}-[0-9]{1,2}):([0-9]{12}):key/([A-Za-z0-9-]{1,64})$`)

// ParseARN parses the ARN of a KMS key. It refuses the ARN of an alias.
func ParseARN(s string) (ARN, bool) {
	m := arn.FindStringSubmatch(s)
	if m == nil {
		return ARN{}, false
	}
	return ARN{m[1], m[2], m[3], m[4]}, true
}

// Of returns the URI of the root key that an envelope names. For a key in a file, Name is the ID of the key, not a
// file. If the envelope names no root key of a known scheme, the error is [ErrURI].
func Of(e *wrap.Envelope) (URI, error) {
	if e.RootKeyCRN != "" {
		return Parse(string(IBM) + ":" + e.RootKeyCRN)
	}
	u, err := Parse(e.KMS)
	if err == nil && u.Name == "" {
		err = wrong(e.KMS, "it names no key")
	}
	if err == nil && u.Scheme == PKCS11 && !named(u.Name) {
		err = wrong(e.KMS, "want the attributes of a key only, in the order that wrap writes")
	}
	return u, err
}

// For returns the URI of the root key of an envelope, with what u adds to it. If u names another root key, the
// error is [ErrOther]. For does not compare a key in a file with the envelope: [wrap.RootKey.Opens] does.
func (u URI) For(e *wrap.Envelope) (URI, error) {
	is, err := Of(e)
	switch {
	case err != nil:
		return URI{}, err
	case is.Scheme == PKCS11 && u.Scheme == PKCS11:
		return u.tokenOf(is)
	case is.Scheme != u.Scheme, u.Name != "" && u.Scheme != Local && u.Name != is.Name:
		return URI{}, fmt.Errorf("%w: %s, not %s", ErrOther, is, u)
	case u.Name == "":
		return is, nil
	}
	return u, nil
}
