package softlayer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/filter"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/session"

	"github.com/luksimg/luksimg/internal/rest"
)

// A Template is an image template of type
// SoftLayer_Virtual_Guest_Block_Device_Template_Group.
type Template struct {
	ID               int       `json:"id"`
	GlobalIdentifier string    `json:"global_identifier"` // for [OrderRequest]
	Name             string    `json:"name"`
	Note             string    `json:"note,omitempty"`
	Status           string    `json:"status,omitempty"` // "Active"
	Step             string    `json:"step,omitempty"`   // of the active transaction; "" if there is none
	Reason           string    `json:"reason,omitempty"` // explanation of the step by the service
	Datacenters      []string  `json:"datacenters,omitempty"`
	Created          time.Time `json:"created,omitzero"`
	DiskSpace        int64     `json:"disk_space,omitempty"` // bytes
}

// Ready reports whether servers can be ordered from the template: it is active,
// has a copy in a datacenter, and has no active transaction.
func (t *Template) Ready() bool {
	return strings.EqualFold(t.Status, "active") && len(t.Datacenters) > 0 && t.Step == ""
}

// failed reports whether the import failed. The API documents no status names for
// failures; the known ones contain one of these words.
func (t *Template) failed() bool { return failedStep(t.Status) || failedStep(t.Step) }

func failedStep(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "fail") || strings.Contains(name, "error")
}

const templateMask = "id,globalIdentifier,name,note,createDate,status[name],transaction[transactionStatus[name,friendlyName]]," +
	"children[id,datacenter[name],blockDevicesDiskSpaceTotal,transaction[transactionStatus[name,friendlyName]]]"

// pageSize is the number of objects requested per page of a list.
const pageSize = 100

// maxPages limits a list in case the service never ends it.
const maxPages = 1000

func newTemplate(g datatypes.Virtual_Guest_Block_Device_Template_Group) Template {
	t := Template{
		ID: value(g.Id), GlobalIdentifier: value(g.GlobalIdentifier),
		Name: value(g.Name), Note: value(g.Note), Created: date(g.CreateDate),
	}
	if g.Status != nil {
		t.Status = rest.Clean(value(g.Status.Name))
	}
	t.Step, t.Reason = step(g.Transaction)
	for _, c := range g.Children {
		if c.Datacenter != nil && c.Datacenter.Name != nil {
			t.Datacenters = append(t.Datacenters, *c.Datacenter.Name)
		}
		if c.BlockDevicesDiskSpaceTotal != nil {
			t.DiskSpace = max(t.DiskSpace, int64(*c.BlockDevicesDiskSpaceTotal))
		}
		if t.Step == "" {
			t.Step, t.Reason = step(c.Transaction)
		}
	}
	return t
}

// step returns the name and the description of the status of a transaction. A
// transaction without a status still counts as active.
func step(t *datatypes.Provisioning_Version1_Transaction) (name, words string) {
	if t == nil {
		return "", ""
	}
	if s := t.TransactionStatus; s != nil {
		name, words = rest.Clean(value(s.Name)), rest.Clean(value(s.FriendlyName))
	}
	if name == "" {
		name = "UNKNOWN"
	}
	return name, words
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func date(t *datatypes.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// Template returns a template by its number, with its status. If there is no such template, the
// error is [ErrNotFound].
func (c *Client) Template(ctx context.Context, id int) (*Template, error) {
	const op = "get template"
	var g datatypes.Virtual_Guest_Block_Device_Template_Group
	err := c.call(ctx, op, nil, func(s *session.Session) (err error) {
		g, err = services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(id).Mask(templateMask).GetObject()
		return err
	})
	if err != nil {
		return nil, err
	}
	if g.Id == nil {
		return nil, badAnswer(op, "the response has no template")
	}
	t := newTemplate(g)
	return &t, nil
}

// Templates returns the private templates of the account.
func (c *Client) Templates(ctx context.Context) ([]Template, error) {
	return c.templates(ctx, "list templates", "")
}

func (c *Client) templates(ctx context.Context, op, filter string) ([]Template, error) {
	var all []Template
	for page := range maxPages {
		var gs []datatypes.Virtual_Guest_Block_Device_Template_Group
		err := c.call(ctx, op, nil, func(s *session.Session) (err error) {
			gs, err = services.GetAccountService(s).Mask(templateMask).Filter(filter).
				Limit(pageSize).Offset(page * pageSize).GetPrivateBlockDeviceTemplateGroups()
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, g := range gs {
			if g.Id != nil {
				all = append(all, newTemplate(g))
			}
		}
		if len(gs) < pageSize {
			return all, nil
		}
	}
	return nil, unsent(op, fmt.Sprintf("more than %d templates", maxPages*pageSize), "")
}

// named returns the templates with this name.
func (c *Client) named(ctx context.Context, name string) ([]Template, error) {
	all, err := c.templates(ctx, "find template", filter.Path("privateBlockDeviceTemplateGroups.name").Eq(equals(name)).Build())
	if err != nil {
		return nil, err
	}
	same := all[:0]
	for _, t := range all {
		if t.Name == name { // the service ignores case
			same = append(same, t)
		}
	}
	return same, nil
}

// FindTemplate returns the template with this name. The error matches [ErrNotFound] if there is none,
// and [ErrAmbiguous] if there are several.
func (c *Client) FindTemplate(ctx context.Context, name string) (*Template, error) {
	all, err := c.named(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, fmt.Errorf("softlayer: template %q: %w", name, ErrNotFound)
	case len(all) > 1:
		return nil, fmt.Errorf("softlayer: template %q: %w: numbers %d and %d", name, ErrAmbiguous, all[0].ID, all[1].ID)
	}
	return &all[0], nil
}

// LookUp returns the template with a number, a global identifier or a name. It has the errors of
// [Client.FindTemplate].
func (c *Client) LookUp(ctx context.Context, name string) (*Template, error) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 {
		t, err := c.Template(ctx, n)
		if errors.Is(err, ErrNotFound) {
			err = rest.WithHint(err, hintTemplate)
		}
		return t, err
	}
	t, err := c.FindTemplate(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return t, err
	}
	all, listErr := c.Templates(ctx)
	if listErr != nil {
		return nil, listErr
	}
	for i := range all {
		if all[i].GlobalIdentifier == name {
			return &all[i], nil
		}
	}
	return nil, rest.WithHint(err, hintTemplate)
}

const hintTemplate = "give the number, the global identifier or the name of a template: slcli image list --private lists them"

// An OSCode is an operating system that an import can name.
type OSCode struct {
	Code        string `json:"code"` // "UBUNTU_22_64"
	Description string `json:"description"`
}

// OSCodes returns the operating systems that can be imported.
func (c *Client) OSCodes(ctx context.Context) ([]OSCode, error) {
	var ds []datatypes.Software_Description
	err := c.call(ctx, "list operating systems", nil, func(s *session.Session) (err error) {
		ds, err = services.GetVirtualGuestBlockDeviceTemplateGroupService(s).
			Mask("referenceCode,longDescription").GetVhdImportSoftwareDescriptions()
		return err
	})
	if err != nil {
		return nil, err
	}
	var codes []OSCode
	for _, d := range ds {
		if d.ReferenceCode != nil {
			codes = append(codes, OSCode{*d.ReferenceCode, value(d.LongDescription)})
		}
	}
	return codes, nil
}

// equals returns the filter operation for equality. Without it, the API treats a
// value that begins with ~ or * as a pattern.
func equals(value string) string { return "_= " + value }
