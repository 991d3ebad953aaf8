package vpc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// An Instance is a virtual server.
type Instance struct {
	ID        string         `json:"id"`
	CRN       string         `json:"crn,omitempty"`
	Name      string         `json:"name"`
	Status    string         `json:"status"` // "pending", "starting", "running", "failed", ...
	Reasons   []StatusReason `json:"status_reasons"`
	CreatedAt time.Time      `json:"created_at,omitzero"`
}

// Ready reports whether the instance is running.
func (i *Instance) Ready() bool { return i.Status == "running" }

// An InstanceRequest describes an instance to order. An order costs money.
type InstanceRequest struct {
	Name    string
	Image   string // its ID
	Zone    string // "us-south-1"
	Profile string // "bx2-2x8"
	VPC     string // its ID
	Subnet  string // its ID

	SSHKeys       []string // IDs of keys of the account
	UserData      string   // for cloud-init
	ResourceGroup string   // its ID; "" means the default group

	// Attachment creates a network attachment with a virtual network interface in the subnet,
	// instead of a network interface of the instance.
	Attachment bool

	// BootKeyCRN is the root key of the boot volume; "" means that of the image.
	BootKeyCRN string
}

type instancePrototype struct {
	Name          string      `json:"name"`
	Image         identity    `json:"image"`
	Zone          named       `json:"zone"`
	Profile       named       `json:"profile"`
	VPC           identity    `json:"vpc"`
	Interface     *subnetOnly `json:"primary_network_interface,omitempty"`
	Attachment    *attachment `json:"primary_network_attachment,omitempty"`
	Keys          []identity  `json:"keys"`
	UserData      string      `json:"user_data,omitempty"`
	ResourceGroup *identity   `json:"resource_group,omitempty"`
	Boot          *boot       `json:"boot_volume_attachment,omitempty"`
}

type attachment struct {
	Virtual subnetOnly `json:"virtual_network_interface"`
}

type subnetOnly struct {
	Subnet identity `json:"subnet"`
}

type boot struct {
	Volume struct {
		EncryptionKey byCRN `json:"encryption_key"`
	} `json:"volume"`
}

func (r InstanceRequest) prototype() (*instancePrototype, error) {
	for _, f := range []struct{ name, value string }{
		{"name", r.Name}, {"image", r.Image}, {"zone", r.Zone}, {"profile", r.Profile}, {"VPC", r.VPC}, {"subnet", r.Subnet},
	} {
		if f.value == "" {
			return nil, fmt.Errorf("vpc: create instance: no %s", f.name)
		}
	}
	if err := CheckName(r.Name); err != nil {
		return nil, fmt.Errorf("vpc: create instance: %w", err)
	}
	p := &instancePrototype{
		Name: r.Name, Image: identity{r.Image}, Zone: named{r.Zone}, Profile: named{r.Profile}, VPC: identity{r.VPC},
		Keys: []identity{}, UserData: r.UserData,
	}
	if subnet := (subnetOnly{identity{r.Subnet}}); r.Attachment {
		p.Attachment = &attachment{subnet}
	} else {
		p.Interface = &subnet
	}
	for _, k := range r.SSHKeys {
		p.Keys = append(p.Keys, identity{k})
	}
	if r.ResourceGroup != "" {
		p.ResourceGroup = &identity{r.ResourceGroup}
	}
	if r.BootKeyCRN != "" {
		p.Boot = new(boot)
		p.Boot.Volume.EncryptionKey.CRN = r.BootKeyCRN
	}
	return p, nil
}

// String describes the request without the user data, which can hold secrets.
func (r InstanceRequest) String() string {
	return fmt.Sprintf("instance %s of image %s in %s", r.Name, r.Image, r.Zone)
}

// GoString returns String.
func (r InstanceRequest) GoString() string { return r.String() }

// CreateInstance orders an instance, and returns it at once. [Client.WaitInstance]
// waits until it is running. If the reply is lost, CreateInstance looks for the instance by its
// unique name. [ErrLost] means that it was not found. If an instance with the name
// exists already, the error matches [ErrExists].
func (c *Client) CreateInstance(ctx context.Context, r InstanceRequest) (*Instance, error) {
	p, err := r.prototype()
	if err != nil {
		return nil, err
	}
	before, err := c.instances(ctx, "find instance", url.Values{"name": {r.Name}})
	if err != nil {
		return nil, err
	}
	if len(before) > 0 {
		return nil, fmt.Errorf("vpc: create instance: %w: %q, ID %s", ErrExists, r.Name, before[0].ID)
	}
	const op = "create instance"
	return rest.Create(ctx, c.once(), func() (*Instance, error) {
		i := new(Instance)
		err := c.call(ctx, op, http.MethodPost, "instances", nil, p, i)
		if err == nil && i.ID == "" {
			err = badAnswer(&Error{Op: op, Status: http.StatusCreated, CorrelationID: c.opts.CorrelationID}, "the response has no instance")
		}
		if err != nil {
			return nil, err
		}
		return i, nil
	}, func() (*Instance, error) {
		found, err := c.instances(ctx, "find instance", url.Values{"name": {r.Name}})
		if err != nil || len(found) == 0 {
			return nil, err
		}
		return &found[0], nil
	})
}

// Instance returns an instance by its ID. If there is no such instance, the error is
// [ErrNotFound].
func (c *Client) Instance(ctx context.Context, id string) (*Instance, error) {
	i := new(Instance)
	if err := c.call(ctx, "get instance", http.MethodGet, "instances/"+url.PathEscape(id), nil, nil, i); err != nil {
		return nil, err
	}
	if i.ID == "" {
		return nil, badAnswer(&Error{Op: "get instance", Status: http.StatusOK}, "the response has no instance")
	}
	return i, nil
}

// Instances returns the instances of the region.
func (c *Client) Instances(ctx context.Context) ([]Instance, error) {
	return c.instances(ctx, "list instances", url.Values{})
}

func (c *Client) instances(ctx context.Context, op string, q url.Values) ([]Instance, error) {
	return list[Instance](ctx, c, op, "instances", "instances", q)
}
