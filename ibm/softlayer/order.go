package softlayer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/filter"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/session"
	"github.com/softlayer/softlayer-go/sl"

	"github.com/luksimg/luksimg/internal/rest"
)

// An OrderRequest describes a server to order. An order costs money.
type OrderRequest struct {
	Hostname   string
	Domain     string
	CPUs       int    // cores
	MemoryMB   int    // 1024 for 1 GB
	Datacenter string // "dal13"
	Template   string // its global identifier

	Monthly   bool // billed monthly; otherwise hourly
	LocalDisk bool // local disks of the host; otherwise SAN

	SSHKeys  []int  // numbers of keys of the account
	UserData string // for cloud-init
}

func (r OrderRequest) check(op string) error {
	var missing string
	switch {
	case r.Hostname == "":
		missing = "host name"
	case r.Domain == "":
		missing = "domain"
	case r.CPUs <= 0:
		missing = "number of cores"
	case r.MemoryMB <= 0:
		missing = "memory"
	case r.Datacenter == "":
		missing = "datacenter"
	case r.Template == "":
		missing = "global identifier of the template"
	default:
		if err := CheckHost(r.Hostname, r.Domain); err != nil {
			return fmt.Errorf("softlayer: %s: %w", op, err)
		}
		return nil
	}
	return unsent(op, "no "+missing, "give the "+missing)
}

// guest returns the order in the API's format. The operating system comes from the
// template, and the API forbids naming both.
func (r OrderRequest) guest() *datatypes.Virtual_Guest {
	g := &datatypes.Virtual_Guest{
		Hostname:                 sl.String(r.Hostname),
		Domain:                   sl.String(r.Domain),
		StartCpus:                sl.Int(r.CPUs),
		MaxMemory:                sl.Int(r.MemoryMB),
		Datacenter:               &datatypes.Location{Name: sl.String(r.Datacenter)},
		HourlyBillingFlag:        sl.Bool(!r.Monthly),
		LocalDiskFlag:            sl.Bool(r.LocalDisk),
		BlockDeviceTemplateGroup: &datatypes.Virtual_Guest_Block_Device_Template_Group{GlobalIdentifier: sl.String(r.Template)},
	}
	for _, id := range r.SSHKeys {
		g.SshKeys = append(g.SshKeys, datatypes.Security_Ssh_Key{Id: sl.Int(id)})
	}
	if r.UserData != "" {
		g.UserData = []datatypes.Virtual_Guest_Attribute{{Value: sl.String(r.UserData)}}
	}
	return g
}

// A Guest is a virtual server.
type Guest struct {
	ID          int       `json:"id"`
	Hostname    string    `json:"hostname"`
	Domain      string    `json:"domain"`
	Step        string    `json:"step,omitempty"`   // of the active transaction
	Reason      string    `json:"reason,omitempty"` // explanation of the step by the service
	Provisioned time.Time `json:"provisioned,omitzero"`
	PublicIP    string    `json:"public_ip,omitempty"`
	PrivateIP   string    `json:"private_ip,omitempty"`
}

// Ready reports whether the server is provisioned.
func (g *Guest) Ready() bool { return !g.Provisioned.IsZero() }

const guestMask = "id,hostname,domain,provisionDate,primaryIpAddress,primaryBackendIpAddress," +
	"activeTransaction[transactionStatus[name,friendlyName]]"

func newGuest(v datatypes.Virtual_Guest) Guest {
	g := Guest{
		ID: value(v.Id), Hostname: value(v.Hostname), Domain: value(v.Domain),
		Provisioned: date(v.ProvisionDate), PublicIP: value(v.PrimaryIpAddress), PrivateIP: value(v.PrimaryBackendIpAddress),
	}
	g.Step, g.Reason = step(v.ActiveTransaction)
	return g
}

// Guest returns a server by its number. If there is no such server, the error is [ErrNotFound].
func (c *Client) Guest(ctx context.Context, id int) (*Guest, error) {
	const op = "get server"
	var v datatypes.Virtual_Guest
	err := c.call(ctx, op, nil, func(s *session.Session) (err error) {
		v, err = services.GetVirtualGuestService(s).Id(id).Mask(guestMask).GetObject()
		return err
	})
	if err != nil {
		return nil, err
	}
	if v.Id == nil {
		return nil, badAnswer(op, "the response has no server")
	}
	g := newGuest(v)
	return &g, nil
}

// Servers returns all servers with this name.
func (c *Client) Servers(ctx context.Context, hostname, domain string) ([]Guest, error) {
	return c.guests(ctx, hostname, domain)
}

// guests returns all servers with this name.
func (c *Client) guests(ctx context.Context, hostname, domain string) ([]Guest, error) {
	var found []Guest
	f := filter.Build(filter.Path("virtualGuests.hostname").Eq(equals(hostname)), filter.Path("virtualGuests.domain").Eq(equals(domain)))
	for page := range maxPages {
		var vs []datatypes.Virtual_Guest
		err := c.call(ctx, "find server", nil, func(s *session.Session) (err error) {
			vs, err = services.GetAccountService(s).Mask(guestMask).Filter(f).
				Limit(pageSize).Offset(page * pageSize).GetVirtualGuests()
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, v := range vs {
			if v.Id != nil {
				found = append(found, newGuest(v))
			}
		}
		if len(vs) < pageSize {
			break
		}
	}
	return found, nil
}

// Order orders a server from a template, and returns it at once. [Client.WaitOrder] waits until it
// is provisioned. If the reply is lost, Order looks for the server. [ErrLost] means that it was not
// found; the order may still take effect.
func (c *Client) Order(ctx context.Context, r OrderRequest) (*Guest, error) {
	if err := r.check("order"); err != nil {
		return nil, err
	}
	before, err := c.guests(ctx, r.Hostname, r.Domain)
	if err != nil {
		return nil, err
	}
	return rest.Create(ctx, c.once("check for a server with this name before ordering again: an order costs money"), func() (*Guest, error) {
		var v datatypes.Virtual_Guest
		err := c.call(ctx, "order", []string{r.UserData}, func(s *session.Session) (err error) {
			v, err = services.GetVirtualGuestService(s).CreateObject(r.guest())
			return err
		})
		if err == nil && v.Id == nil {
			err = badAnswer("order", "the response has no server")
		}
		if err != nil {
			return nil, err
		}
		g := newGuest(v)
		return &g, nil
	}, func() (*Guest, error) {
		found, err := c.guests(ctx, r.Hostname, r.Domain)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(g Guest) bool {
			return slices.ContainsFunc(before, func(b Guest) bool { return b.ID == g.ID })
		})
		switch len(found) {
		case 0:
			return nil, nil
		case 1:
			return &found[0], nil
		}
		return nil, fmt.Errorf("softlayer: order: several new servers are named %s.%s", r.Hostname, r.Domain)
	})
}

// A Quote is the result of a checked order that was not placed.
type Quote struct {
	Package   int     `json:"package,omitempty"`    // package number
	Items     []int   `json:"items,omitempty"`      // price numbers
	Monthly   float64 `json:"monthly,omitempty"`    // monthly fee, if known
	Hourly    float64 `json:"hourly,omitempty"`     // hourly fee, if known
	Hostname  string  `json:"hostname,omitempty"`   // as the service understood it
	ImageGUID string  `json:"image_guid,omitempty"` // the global identifier of the template
}

// CheckOrder asks the service to check an order without placing it.
func (c *Client) CheckOrder(ctx context.Context, r OrderRequest) (*Quote, error) {
	const op = "check order"
	if err := r.check(op); err != nil {
		return nil, err
	}
	var o datatypes.Container_Product_Order
	err := c.again(ctx, op, []string{r.UserData}, func(s *session.Session) (err error) {
		o, err = services.GetVirtualGuestService(s).GenerateOrderTemplate(r.guest())
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(o.Prices) == 0 && o.PackageId == nil && len(o.VirtualGuests) == 0 {
		return nil, badAnswer(op, "the response has no order")
	}
	q := &Quote{Package: value(o.PackageId), ImageGUID: value(o.ImageTemplateGlobalIdentifier)}
	for _, p := range o.Prices {
		if p.Id != nil {
			q.Items = append(q.Items, *p.Id)
		}
		q.Monthly += float64(value(p.RecurringFee))
		q.Hourly += float64(value(p.HourlyRecurringFee))
	}
	if len(o.VirtualGuests) > 0 {
		q.Hostname = value(o.VirtualGuests[0].Hostname)
	}
	return q, nil
}

// String describes the request without the user data.
func (r OrderRequest) String() string {
	return fmt.Sprintf("order of %s.%s in %s from template %s", r.Hostname, r.Domain, r.Datacenter, r.Template)
}

// GoString returns String: user data can hold secrets.
func (r OrderRequest) GoString() string { return r.String() }
