// Package keyprotect wraps data encryption keys with a root key in IBM Key Protect or Hyper Protect Crypto Services.
// It also creates, imports, lists, rotates, disables, enables and deletes such root keys.
//
// The root key's CRN names everything that a request needs: service, region, instance and key. The package never uses
// additional authentication data, because an image import has no field for it.
package keyprotect

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	kp "github.com/IBM/keyprotect-go-client"
	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Options are the settings of a [Client]. CRN and Tokens must be set.
type Options struct {
	// CRN names the root key. The CRN of an instance is enough for calls without a root key: creating, importing and
	// listing.
	CRN string
	// Tokens supplies bearer tokens: see package iam.
	Tokens iam.TokenSource
	// URL is the endpoint, without /api. Set it for the sandbox, and for instances of Hyper Protect Crypto Services
	// that have a host and port of their own. It must be https, or http on this machine. Empty derives it from the
	// CRN, Network and Dedicated: see package endpoint.
	URL string
	// Network is "public", which is the default, "private" or "direct".
	Network string
	// Dedicated selects Key Protect Dedicated, whose instances have other addresses.
	Dedicated bool
	// KeyRing is the key ring of the root key. Empty lets the service search all key rings.
	KeyRing string
	// CorrelationID, a UUID, is sent with every request and appears in the service's audit events. Empty uses a new
	// one for each call.
	CorrelationID string
	// Client sends the requests, without following redirects. Nil uses a new client.
	Client *http.Client
	// Retry bounds the attempts of a request.
	Retry iam.Retry
}

// api lists the methods of the service's Go client that this package uses.
type api interface {
	WrapV2(ctx context.Context, id string, plaintext []byte, aad *[]string) (*kp.KeyActionResponse, error)
	UnwrapV2(ctx context.Context, id string, ciphertext []byte, aad *[]string) (plaintext, rewrapped []byte, err error)
	CreateKeyWithOptions(ctx context.Context, name string, extractable bool, options ...kp.CreateKeyOption) (*kp.Key, error)
	CreateImportToken(ctx context.Context, expiration, retrievals int) (*kp.ImportTokenMetadata, error)
	GetImportTokenTransportKey(ctx context.Context) (*kp.ImportTokenKeyResponse, error)
	ListKeys(ctx context.Context, o *kp.ListKeysOptions) (*kp.Keys, error)
	GetKey(ctx context.Context, id string) (*kp.Key, error)
	GetKeyMetadata(ctx context.Context, id string) (*kp.Key, error)
	RotateV2(ctx context.Context, id string, material *kp.KeyPayload) error
	DisableKey(ctx context.Context, id string) error
	EnableKey(ctx context.Context, id string) error
	DeleteKey(ctx context.Context, id string, prefer kp.PreferReturn, o ...kp.CallOpt) (*kp.Key, error)
	CreateKeyRing(ctx context.Context, id string) error
	GetKeyRings(ctx context.Context) (*kp.KeyRings, error)
}

// A Client uses one root key, or one instance, as one identity. It implements wrap.Wrapper and wrap.Unwrapper, and is
// safe for concurrent use.
//
// Plaintexts pass through the service's Go client as strings, which cannot be wiped.
type Client struct {
	crn         crn.CRN
	url         string
	keyRing     string
	correlation string
	send        *rest.Transport
	api         api
}

// New checks the options and returns a client. It sends no request.
func New(o Options) (*Client, error) {
	c, err := crn.ParseInstance(o.CRN)
	if err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	if c.ResourceType != "" || c.Resource != "" {
		if c, err = crn.ParseRootKey(o.CRN); err != nil {
			return nil, fmt.Errorf("key protect: %w", err)
		}
	}
	if o.Tokens == nil {
		return nil, errors.New("key protect: Tokens is nil")
	}
	if err := endpoint.Check(o.Network); err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	if o.URL == "" {
		o.URL = endpoint.KeyProtect(c, o.Network, o.Dedicated)
	}
	base, err := rest.CheckURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	if o.CorrelationID != "" {
		if _, err := uuid.Parse(o.CorrelationID); err != nil {
			return nil, errors.New("key protect: the correlation id is not a UUID")
		}
	}
	client := &Client{crn: c, url: base, keyRing: o.KeyRing, correlation: o.CorrelationID,
		send: &rest.Transport{Tokens: o.Tokens, Retry: o.Retry, Expired: expired, MaxBody: rest.MaxKeyBody}}
	rest.NewClient(o.Client, client.send)
	service, err := kp.New(kp.ClientConfig{BaseURL: base, InstanceID: c.Instance, KeyRing: o.KeyRing, Verbose: kp.VerboseNone}, (*transport)(client))
	if err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	service.HttpClient.Timeout = 0 // each attempt has its own timeout
	client.api = service
	return client, nil
}

// RootKey returns the client as a root key with its CRN as the name.
func (c *Client) RootKey() *wrap.RootKey {
	return &wrap.RootKey{Wrapper: c, Unwrapper: c, CRN: c.crn.String()}
}

// CRN returns the CRN of the root key, or of the instance.
func (c *Client) CRN() crn.CRN { return c.crn }

// String returns the CRN.
func (c *Client) String() string { return "keyprotect.Client(" + c.crn.String() + ")" }

// GoString returns the CRN, so that fmt's %#v does not print a token.
func (c *Client) GoString() string { return c.String() }

// Key returns a client for another root key of the same instance. If the id is invalid, the error is crn.ErrCRN.
func (c *Client) Key(id string) (*Client, error) {
	name := c.crn.Key(id)
	if _, err := crn.ParseRootKey(name.String()); err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	own := *c
	own.crn = name
	service, err := kp.New(kp.ClientConfig{BaseURL: c.url, InstanceID: name.Instance, KeyRing: c.keyRing, Verbose: kp.VerboseNone}, (*transport)(&own))
	if err != nil {
		return nil, fmt.Errorf("key protect: %w", err)
	}
	service.HttpClient.Timeout = 0
	own.api = service
	return &own, nil
}

// root returns the id of the root key, or an error if the client has only an instance.
func (c *Client) root(op string) (string, error) {
	if c.crn.Resource == "" {
		return "", fmt.Errorf("key protect: %s: the CRN names an instance, not a root key: %w", op, crn.ErrCRN)
	}
	return c.crn.Resource, nil
}
