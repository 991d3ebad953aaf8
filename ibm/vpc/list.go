package vpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/luksimg/luksimg/internal/advice"
)

// maxPages limits a list in case the service never ends it.
const maxPages = 1000

// list reads all pages of a list. field is the name of the JSON field with the items. list uses only the
// page token in the address of the next page. A response therefore cannot redirect the
// bearer token to another server. A nil q is for lists without pages.
func list[T any](ctx context.Context, c *Client, op, path, field string, q url.Values) ([]T, error) {
	if q != nil {
		q.Set("limit", "100")
	}
	var all []T
	for range maxPages {
		var page map[string]json.RawMessage
		if err := c.call(ctx, op, http.MethodGet, path, q, nil, &page); err != nil {
			return nil, err
		}
		var items []T
		if json.Unmarshal(page[field], &items) != nil {
			return nil, badAnswer(&Error{Op: op, Status: http.StatusOK}, "the response has no list")
		}
		all = append(all, items...)
		if page["next"] == nil || q == nil {
			return all, nil
		}
		var next struct {
			Href string `json:"href"`
		}
		err := json.Unmarshal(page["next"], &next)
		if next.Href == "" && err == nil {
			return all, nil
		}
		u, errURL := url.Parse(next.Href)
		if err != nil || errURL != nil || u.Query().Get("start") == "" {
			return nil, badAnswer(&Error{Op: op, Status: http.StatusOK}, "the address of the next page is malformed")
		}
		q.Set("start", u.Query().Get("start"))
	}
	return nil, badAnswer(&Error{Op: op}, "the list does not end")
}

// A Thing is a VPC, a subnet or an SSH key.
type Thing struct {
	ID   string `json:"id"`
	CRN  string `json:"crn,omitempty"`
	Name string `json:"name"`
	Zone struct {
		Name string `json:"name,omitempty"`
	} `json:"zone,omitzero"` // of a subnet
	VPC struct {
		ID string `json:"id,omitempty"`
	} `json:"vpc,omitzero"` // of a subnet
}

// VPCs returns the VPCs of the region.
func (c *Client) VPCs(ctx context.Context) ([]Thing, error) {
	return list[Thing](ctx, c, "list VPCs", "vpcs", "vpcs", url.Values{})
}

// Subnets returns the subnets of all VPCs of the region.
func (c *Client) Subnets(ctx context.Context) ([]Thing, error) {
	return list[Thing](ctx, c, "list subnets", "subnets", "subnets", url.Values{})
}

// SSHKeys returns the account's public keys in the region.
func (c *Client) SSHKeys(ctx context.Context) ([]Thing, error) {
	return list[Thing](ctx, c, "list keys", "keys", "keys", url.Values{})
}

// A Profile is an instance profile.
type Profile struct {
	Name   string `json:"name"`   // "bx2-2x8"
	Family string `json:"family"` // "balanced"
}

// Profiles returns the instance profiles.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	return list[Profile](ctx, c, "list profiles", "instance/profiles", "profiles", nil)
}

// An OperatingSystem is an operating system known to VPC.
type OperatingSystem struct {
	Name         string `json:"name"` // "ubuntu-22-04-amd64"
	DisplayName  string `json:"display_name,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	// Importable reports whether custom images can have it.
	Importable bool `json:"allow_user_image_creation"`
}

// OperatingSystems returns the operating systems of the region.
func (c *Client) OperatingSystems(ctx context.Context) ([]OperatingSystem, error) {
	return list[OperatingSystem](ctx, c, "list operating systems", "operating_systems", "operating_systems", url.Values{})
}

// ErrSystem means that custom images cannot have the given operating system.
var ErrSystem = advice.New("images cannot have this operating system", "luksimg import --target vpc --list-os-codes lists them")

// CheckOperatingSystem asks the API whether custom images can have the operating system with this name.
// If not, the error matches [ErrSystem].
func (c *Client) CheckOperatingSystem(ctx context.Context, name string) error {
	var o OperatingSystem
	err := c.call(ctx, "get operating system", http.MethodGet, "operating_systems/"+url.PathEscape(name), nil, nil, &o)
	if errors.Is(err, ErrNotFound) || err == nil && !o.Importable {
		return fmt.Errorf("%w: %q", ErrSystem, name)
	}
	return err
}
