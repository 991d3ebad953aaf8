package softlayer

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// ErrName is a name that classic infrastructure does not take, of an object or a server.
var ErrName = advice.New("classic infrastructure does not take this name", "name the object IMAGE.raw for LUKS, IMAGE.vhd-0.vhd for VHD")

// CheckObject returns an error that matches [ErrName] for the name of an object that no template is made
// of: NAME.raw of an encrypted LUKS image, NAME.vhd-0.vhd, and of images that are not encrypted
// NAME.vmdk-0.vmdk and NAME.iso too (image-templates, import-image.md).
func CheckObject(key string, encrypted bool) error {
	ends := []string{"-0.vhd", ".raw"}
	if !encrypted {
		ends = []string{"-0.vhd", "-0.vmdk", ".iso"}
	}
	if !slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(strings.ToLower(key), end) }) {
		return fmt.Errorf("%w: %q", ErrName, key)
	}
	return nil
}

// label is a part of a host name, as RFC 1123 has it.
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// CheckHost returns an error that matches [ErrName] for what can be no name of a server.
func CheckHost(hostname, domain string) error {
	for _, part := range append(strings.Split(hostname, "."), strings.Split(domain, ".")...) {
		if !label.MatchString(part) || len(hostname)+len(domain) > 252 {
			return advice.With(fmt.Errorf("%w: %q", ErrName, hostname+"."+domain), "host names have letters, digits and hyphens, up to 63 between dots, and neither begin nor end with a hyphen")
		}
	}
	return nil
}

// ErrSystem is the code of an operating system that images can not have.
var ErrSystem = advice.New("images can not have this operating system", "luksimg import --list-os-codes lists them")

// CheckOSCode asks whether images may have an operating system: an error that matches [ErrSystem] if not.
func (c *Client) CheckOSCode(ctx context.Context, code string) error {
	all, err := c.OSCodes(ctx)
	if err == nil && !slices.ContainsFunc(all, func(o OSCode) bool { return o.Code == code }) {
		err = fmt.Errorf("%w: %q", ErrSystem, code)
	}
	return err
}
