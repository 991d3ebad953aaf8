package iam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxPages limits the pages read of a list. A page has up to 100 entries.
const maxPages = 100

// A ServiceID is the identity of a program.
type ServiceID struct {
	ID          string `json:"id"`
	IAMID       string `json:"iam_id"` // identifies it as the subject of policies
	Name        string `json:"name"`
	Description string `json:"description"`
	AccountID   string `json:"account_id"`
	CRN         string `json:"crn"`
}

// CreateServiceID creates a service ID in an account.
func (c *Client) CreateServiceID(ctx context.Context, account, name, description string) (ServiceID, error) {
	var s ServiceID
	err := c.do(ctx, call{op: "create service id", method: http.MethodPost, path: "/v1/serviceids", body: map[string]string{
		"account_id": account, "name": name, "description": description,
	}}, &s)
	return s, err
}

// ServiceIDs lists the service IDs of an account with the given name, or all if name is "".
func (c *Client) ServiceIDs(ctx context.Context, account, name string) ([]ServiceID, error) {
	query := url.Values{"account_id": {account}}
	if name != "" {
		query.Set("name", name)
	}
	var all []ServiceID
	err := c.pages(ctx, "list service ids", "/v1/serviceids", query, func() (any, func() string) {
		var page struct {
			Next string      `json:"next"`
			List []ServiceID `json:"serviceids"`
		}
		return &page, func() string { all = append(all, page.List...); return page.Next }
	})
	return all, err
}

// An APIKey is a credential of a user or a service ID.
type APIKey struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	IAMID       string `json:"iam_id"`
	AccountID   string `json:"account_id"`
	CRN         string `json:"crn"`
}

// A NewAPIKey is an API key with its value. IAM shows the value only on creation.
type NewAPIKey struct {
	APIKey
	Value Secret
}

// A Secret is text that fmt and JSON do not show. The owner wipes it with clear.
type Secret []byte

// String hides the secret from fmt.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the secret from fmt's %#v.
func (s Secret) GoString() string { return s.String() }

// Format hides the secret from all other verbs.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalJSON always fails, so that no secret is written as JSON.
func (s Secret) MarshalJSON() ([]byte, error) {
	return nil, errors.New("secrets cannot be encoded as JSON")
}

// CreateAPIKey creates an API key for the identity with the given IAM ID.
func (c *Client) CreateAPIKey(ctx context.Context, account, iamID, name, description string) (NewAPIKey, error) {
	var answer struct {
		APIKey
		Value string `json:"apikey"`
	}
	err := c.do(ctx, call{op: "create API key", method: http.MethodPost, path: "/v1/apikeys", body: map[string]any{
		"account_id": account, "iam_id": iamID, "name": name, "description": description, "store_value": false,
	}}, &answer)
	if err == nil && answer.Value == "" {
		err = unavailable(&Error{Op: "create API key", Message: "the response holds no API key"})
	}
	return NewAPIKey{answer.APIKey, Secret(answer.Value)}, err
}

// APIKeys lists the API keys of an identity, without their values.
func (c *Client) APIKeys(ctx context.Context, account, iamID string) ([]APIKey, error) {
	var all []APIKey
	err := c.pages(ctx, "list API keys", "/v1/apikeys", url.Values{"account_id": {account}, "iam_id": {iamID}}, func() (any, func() string) {
		var page struct {
			Next string   `json:"next"`
			List []APIKey `json:"apikeys"`
		}
		return &page, func() string { all = append(all, page.List...); return page.Next }
	})
	return all, err
}

// Self returns IAM's record of the client's own API key, which includes the account.
func (c *Client) Self(ctx context.Context) (APIKey, error) {
	var k APIKey
	err := c.do(ctx, call{op: "API key details", method: http.MethodGet, path: "/v1/apikeys/details", idempotent: true,
		header: http.Header{"Iam-Apikey": {c.key}}}, &k)
	return k, err
}

// pages reads all pages of a list. IAM returns the address of the next page. pages uses only its
// page token, so that a response cannot redirect the credential to another server.
func (c *Client) pages(ctx context.Context, op, path string, query url.Values, page func() (into any, took func() string)) error {
	query.Set("pagesize", "100")
	for range maxPages {
		into, took := page()
		if err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, query: query, idempotent: true}, into); err != nil {
			return err
		}
		next := took()
		if next == "" {
			return nil
		}
		u, err := url.Parse(next)
		if err != nil || u.Query().Get("pagetoken") == "" || u.Query().Get("pagetoken") == query.Get("pagetoken") {
			return unavailable(&Error{Op: op, Message: "the address of the next page is malformed or repeated"})
		}
		query.Set("pagetoken", u.Query().Get("pagetoken"))
	}
	return unavailable(&Error{Op: op, Message: "the list has too many pages"})
}
