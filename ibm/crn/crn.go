// Package crn parses Cloud Resource Names of IBM Cloud, such as those of root keys and of key service
// instances.
//
//	crn:v1:bluemix:public:kms:us-south:a/ACCOUNT:INSTANCE:key:KEY
//
// Callers build addresses from parts of a CRN and send credentials there. The package therefore
// checks each part strictly. For example, a region must not contain a dot or a slash.
package crn

import (
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// ErrCRN means that a text is not a CRN, or not a CRN of the wanted kind.
var ErrCRN = advice.New("not a valid CRN",
	"a root key is named crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY; ibmcloud kp key show prints it")

// Services that store root keys.
const (
	KeyProtect = "kms"
	HyperCrypt = "hs-crypto" // Hyper Protect Crypto Services
)

const maxLen = 512

// A CRN names a service instance or a resource in one.
type CRN struct {
	CName        string // "bluemix"
	CType        string // "public", "dedicated" or "local"
	Service      string // "kms", "hs-crypto", "cloud-object-storage", ...
	Region       string // "us-south"; "" or "global" for some services
	Account      string // without the "a/"
	Instance     string
	ResourceType string // "key"; "" for the instance itself
	Resource     string
}

// String returns the CRN in its text form.
func (c CRN) String() string {
	scope := ""
	if c.Account != "" {
		scope = "a/" + c.Account
	}
	return strings.Join([]string{"crn:v1", c.CName, c.CType, c.Service, c.Region, scope, c.Instance, c.ResourceType, c.Resource}, ":")
}

// Parse parses a CRN of ten parts. Each part is empty or consists of letters, digits and
// the punctuation allowed in its place. Errors match [ErrCRN].
func Parse(s string) (CRN, error) {
	if len(s) > maxLen {
		return CRN{}, fmt.Errorf("%w: it has more than %d characters", ErrCRN, maxLen)
	}
	parts := strings.Split(s, ":")
	if len(parts) != 10 || parts[0] != "crn" || parts[1] != "v1" {
		return CRN{}, fmt.Errorf("%w: want crn:v1: followed by eight parts separated by colons", ErrCRN)
	}
	c := CRN{parts[2], parts[3], parts[4], parts[5], "", parts[7], parts[8], parts[9]}
	for _, p := range []struct{ name, value string }{
		{"cname", c.CName}, {"ctype", c.CType}, {"service name", c.Service}, {"location", c.Region},
		{"instance", c.Instance}, {"resource type", c.ResourceType},
	} {
		if !word(p.value, "-_") {
			return CRN{}, fmt.Errorf("%w: the %s contains a character that is not allowed", ErrCRN, p.name)
		}
	}
	if !word(c.Resource, "-_./") || strings.Contains(c.Resource, "..") {
		return CRN{}, fmt.Errorf("%w: the resource contains a character that is not allowed", ErrCRN)
	}
	if scope := parts[6]; scope != "" {
		account, ok := strings.CutPrefix(scope, "a/")
		if !ok || account == "" || !word(account, "-_") {
			return CRN{}, fmt.Errorf("%w: the scope is not a/ACCOUNT", ErrCRN)
		}
		c.Account = account
	}
	return c, nil
}

// ParseRootKey parses the complete CRN of a key in Key Protect or Hyper Protect Crypto Services:
// region, account, instance and key must be present. Errors match [ErrCRN].
func ParseRootKey(s string) (CRN, error) {
	c, err := ParseInstance(s)
	if err != nil {
		return CRN{}, err
	}
	if c.ResourceType != "key" || c.Resource == "" || !word(c.Resource, "-_") {
		return CRN{}, fmt.Errorf("%w of a root key: it does not end with :key:KEY", ErrCRN)
	}
	return c, nil
}

// ParseInstance parses the CRN of an instance of Key Protect or Hyper Protect Crypto
// Services, or of a key in it. Errors match [ErrCRN].
func ParseInstance(s string) (CRN, error) {
	c, err := Parse(s)
	if err != nil {
		return CRN{}, err
	}
	switch {
	case c.Service != KeyProtect && c.Service != HyperCrypt:
		return CRN{}, fmt.Errorf("%w of a root key: the service is %.32q, want %s or %s", ErrCRN, c.Service, KeyProtect, HyperCrypt)
	case c.CName != "bluemix" && c.CName != "staging" || c.CType != "public":
		return CRN{}, fmt.Errorf("%w of a root key: it does not begin with crn:v1:bluemix:public", ErrCRN)
	case c.Region == "" || c.Account == "" || c.Instance == "":
		return CRN{}, fmt.Errorf("%w of a root key: region, account or instance is missing", ErrCRN)
	}
	return c, nil
}

// Key returns the CRN of the key with the given ID in the same instance.
func (c CRN) Key(id string) CRN {
	c.ResourceType, c.Resource = "key", id
	return c
}

// word reports whether s has at most 128 characters, all letters, digits or in more, and neither
// starts nor ends with a hyphen.
func word(s, more string) bool {
	if len(s) > 128 || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(more, r) {
			return false
		}
	}
	return true
}
