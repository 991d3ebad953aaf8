package vpc

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// ErrName means that VPC does not accept the name of an image, a server, an export job or an object.
var ErrName = advice.New("VPC does not accept this name", "names have 1 to 63 lower case letters, digits and hyphens, begin with a letter and do not end with a hyphen")

// maxName is the maximum length of a name.
const maxName = 63

var name = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// reserved is the prefix of the names of IBM's own images.
const reserved = "ibm-"

// CheckName returns an error that matches [ErrName] for an invalid name of an instance or an export
// job (pattern and length of names in the API).
func CheckName(s string) error {
	if len(s) > maxName || !name.MatchString(s) {
		return fmt.Errorf("%w: %q", ErrName, s)
	}
	return nil
}

// CheckImageName is CheckName for images. It also refuses the prefix ibm- of IBM's own images
// (vpc-go-sdk, ImagePrototypeImageByFile).
func CheckImageName(s string) error {
	if strings.HasPrefix(s, reserved) {
		return advice.With(fmt.Errorf("%w: %q", ErrName, s), "the prefix "+reserved+" is reserved for IBM's own images")
	}
	return CheckName(s)
}

// CheckObject returns an error that matches [ErrName] unless key is a valid object name for an image.
// The extension selects the format: qcow2 or vhd in lower case, and only qcow2 for an encrypted
// image (vpc-go-sdk, ImageFilePrototype).
func CheckObject(key string, encrypted bool) error {
	switch ext := path.Ext(key); {
	case encrypted && ext != ".qcow2":
		return advice.With(fmt.Errorf("%w: %q", ErrName, key), "an encrypted image must be qcow2, and its name must end with .qcow2 in lower case")
	case ext != ".qcow2" && ext != ".vhd":
		return advice.With(fmt.Errorf("%w: %q", ErrName, key), "the name must end with .qcow2 or .vhd in lower case")
	}
	return nil
}
