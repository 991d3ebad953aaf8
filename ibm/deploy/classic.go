package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
)

// classic is classic infrastructure.
type classic struct {
	client *softlayer.Client
	apiKey func() ([]byte, error)
	order  softlayer.OrderRequest
}

// NewClassic returns the driver of classic infrastructure. apiKey gives the key that the cloud
// itself reads the object and uses the root key with, and is wiped. order says what server is
// ordered, but for its template.
func NewClassic(c *softlayer.Client, apiKey func() ([]byte, error), order softlayer.OrderRequest) Driver {
	return &classic{c, apiKey, order}
}

func (c *classic) Target() string                { return Classic }
func (c *classic) Words() (image, server string) { return "template", "server" }
func (c *classic) UniqueNames() bool             { return false }

func (c *classic) Check() error {
	key, err := c.apiKey()
	clear(key)
	return err
}

// FindImage does not tell which template it is: Import takes one of this name and note for
// the one that it is to make, and refuses others.
func (c *classic) FindImage(ctx context.Context, name string) (*Made, error) {
	_, err := c.client.FindTemplate(ctx, name)
	switch {
	case errors.Is(err, softlayer.ErrNotFound):
		return nil, nil
	case err == nil, errors.Is(err, softlayer.ErrAmbiguous):
		return &Made{}, nil
	}
	return nil, err
}

func (c *classic) CreateImage(ctx context.Context, r ImageRequest) (*Made, error) {
	key, err := c.apiKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	made, err := c.client.Import(ctx, softlayer.ImportRequest{
		Name: r.Name, Note: r.Note, OSCode: r.OSCode, URI: r.URI, APIKey: string(key),
		RootKeyCRN: r.RootKeyCRN, WrappedDEK: r.WrappedDEK, CloudInit: true, BYOL: r.BYOL, Encrypted: true,
	})
	if f := new(softlayer.TransactionError); errors.As(err, &f) { // that of an earlier run
		return &Made{ID: strconv.Itoa(f.ID)}, err
	}
	return template(made), err
}

func template(t *softlayer.Template) *Made {
	if t == nil {
		return nil
	}
	return &Made{strconv.Itoa(t.ID), t.GlobalIdentifier}
}

func (c *classic) WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return nil, err
	}
	made, err := c.client.WaitImport(ctx, n, o)
	return template(made), err
}

func (c *classic) DeleteImage(ctx context.Context, id string, _ time.Duration) error {
	n, err := strconv.Atoi(id)
	if err != nil {
		return err
	}
	if err := c.client.Delete(ctx, n); !errors.Is(err, softlayer.ErrNotFound) {
		return err
	}
	return nil
}

func (c *classic) FindServers(ctx context.Context) ([]string, error) {
	all, err := c.client.Servers(ctx, c.order.Hostname, c.order.Domain)
	var ids []string
	for _, g := range all {
		ids = append(ids, strconv.Itoa(g.ID))
	}
	return ids, err
}

func (c *classic) CreateServer(ctx context.Context, image Made) (string, map[string]any, error) {
	r := c.order
	r.Template = image.GlobalIdentifier
	details := map[string]any{"imageTemplate": r.Template, "datacenter": r.Datacenter}
	g, err := c.client.Order(ctx, r)
	if g == nil {
		return "", details, err
	}
	return strconv.Itoa(g.ID), details, err
}

func (c *classic) WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) error {
	n, err := strconv.Atoi(id)
	if err != nil {
		return fmt.Errorf("the number of the server: %w", err)
	}
	_, err = c.client.WaitOrder(ctx, n, o)
	return err
}
