package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
)

// classic is the driver of classic infrastructure.
type classic struct {
	client *softlayer.Client
	apiKey func() ([]byte, error)
}

// NewClassic returns the driver of classic infrastructure. apiKey returns the key with which the cloud
// reads the object and uses the root key. The driver wipes the key. It is needed for imports only.
func NewClassic(c *softlayer.Client, apiKey func() ([]byte, error)) Driver {
	return &classic{c, apiKey}
}

func (c *classic) Target() string                { return Classic }
func (c *classic) Words() (image, server string) { return "template", "server" }
func (c *classic) UniqueNames() bool             { return false }

func (c *classic) Check() error {
	key, err := c.apiKey()
	clear(key)
	return err
}

func (c *classic) CheckSystem(ctx context.Context, code string) error {
	return c.client.CheckOSCode(ctx, code)
}

// FindImage returns a Made without an ID: Import itself matches an existing template by name and
// note.
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

func (c *classic) Image(ctx context.Context, name string) (*Made, error) {
	t, err := c.client.LookUp(ctx, name)
	return ofTemplate(t), err
}

func (c *classic) CreateImage(ctx context.Context, r ImageRequest) (*Made, error) {
	key, err := c.apiKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	made, err := c.client.Import(ctx, softlayer.ImportRequest{
		Name: r.Name, Note: r.Note, OSCode: r.OSCode, URI: r.URI, APIKey: string(key),
		RootKeyCRN: r.RootKeyCRN, WrappedDEK: r.WrappedDEK, CloudInit: r.CloudInit, BYOL: r.BYOL, Encrypted: r.Encrypted,
	})
	if f := new(softlayer.TransactionError); errors.As(err, &f) { // the import of an earlier run failed
		return &Made{ID: strconv.Itoa(f.ID)}, err
	}
	return ofTemplate(made), err
}

func (c *classic) WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return nil, err
	}
	t, err := c.client.WaitImport(ctx, n, o)
	return ofTemplate(t), err
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

func (c *classic) FindServers(ctx context.Context, s *Server) ([]string, error) {
	all, err := c.client.Servers(ctx, s.Hostname, s.Domain)
	var ids []string
	for _, g := range all {
		ids = append(ids, strconv.Itoa(g.ID))
	}
	return ids, err
}

func (c *classic) CheckOrder(ctx context.Context, image *Made, s *Server) (*Placed, error) {
	r, err := s.classic()
	if err != nil {
		return nil, err
	}
	r.Template = image.GlobalIdentifier
	q, err := c.client.CheckOrder(ctx, r)
	return &Placed{Quote: q}, err
}

func (c *classic) CreateServer(ctx context.Context, image *Made, s *Server) (*Placed, error) {
	r, err := s.classic()
	if err != nil {
		return nil, err
	}
	r.Template = image.GlobalIdentifier
	g, err := c.client.Order(ctx, r)
	return ofGuest(g), err
}

func (c *classic) WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) (*Placed, error) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return nil, fmt.Errorf("server number: %w", err)
	}
	g, err := c.client.WaitOrder(ctx, n, o)
	return ofGuest(g), err
}
