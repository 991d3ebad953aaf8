package softlayer

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// ErrName means that classic infrastructure does not accept the name of an object or a server.
var ErrName = advice.New("classic infrastructure does not accept this name", "name the object IMAGE.raw for LUKS, IMAGE.vhd-0.vhd for VHD")

// CheckObject returns an error that matches [ErrName] unless key is a valid object name for an import:
// NAME.raw for an encrypted LUKS image, NAME.vhd-0.vhd, and for unencrypted images also
// NAME.vmdk-0.vmdk and NAME.iso (image-templates, import-image.md).
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

// label matches one label of a host name (RFC 1123, section 2.1).
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// CheckHost returns an error that matches [ErrName] for an invalid server name.
func CheckHost(hostname, domain string) error {
	for _, part := range append(strings.Split(hostname, "."), strings.Split(domain, ".")...) {
		if !label.MatchString(part) || len(hostname)+len(domain) > 252 {
			return advice.With(fmt.Errorf("%w: %q", ErrName, hostname+"."+domain), "each part of a host name has 1 to 63 letters, digits and hyphens, and neither begins nor ends with a hyphen")
		}
	}
	return nil
}

// ErrSystem means that images cannot have the given operating system.
var ErrSystem = advice.New("images cannot have this operating system", "luksimg import --list-os-codes lists them")

// CheckOSCode asks the API whether images can have the operating system with this code. If not, the
// error matches [ErrSystem].
func (c *Client) CheckOSCode(ctx context.Context, code string) error {
	all, err := c.OSCodes(ctx)
	if err == nil && !slices.ContainsFunc(all, func(o OSCode) bool { return o.Code == code }) {
		err = fmt.Errorf("%w: %q", ErrSystem, code)
	}
	return err
}
