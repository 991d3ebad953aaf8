package vpc

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// ErrName is a name that VPC does not take, of an image, a server, an export job or an object.
var ErrName = advice.New("VPC does not take this name", "names have 1 to 63 lower case letters, digits and hyphens, begin with a letter and do not end with a hyphen")

// maxName is how long a name may be.
const maxName = 63

var name = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// reserved is how the names of the provider's own images begin.
const reserved = "ibm-"

// CheckName returns an error that matches [ErrName] for what can be no name of an instance or an export
// job (pattern and length of the API's names).
func CheckName(s string) error {
	if len(s) > maxName || !name.MatchString(s) {
		return fmt.Errorf("%w: %q", ErrName, s)
	}
	return nil
}

// CheckImageName is CheckName for images: names that begin with ibm- are the provider's own
// (vpc-go-sdk, ImagePrototypeImageByFile).
func CheckImageName(s string) error {
	if strings.HasPrefix(s, reserved) {
		return advice.With(fmt.Errorf("%w: %q", ErrName, s), "names that begin with "+reserved+" are those of IBM's own images")
	}
	return CheckName(s)
}

// CheckObject returns an error that matches [ErrName] for the name of an object that no image is made of:
// the extension tells the format, and is qcow2 or vhd, in lower case; only qcow2 if the image is
// encrypted (vpc-go-sdk, ImageFilePrototype).
func CheckObject(key string, encrypted bool) error {
	switch ext := path.Ext(key); {
	case encrypted && ext != ".qcow2":
		return advice.With(fmt.Errorf("%w: %q", ErrName, key), "an encrypted image must be qcow2, and its name must end with .qcow2 in lower case")
	case ext != ".qcow2" && ext != ".vhd":
		return advice.With(fmt.Errorf("%w: %q", ErrName, key), "the name must end with .qcow2 or .vhd in lower case, which tells the format")
	}
	return nil
}
