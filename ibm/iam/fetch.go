package iam

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// fetch exchanges the API key for a token.
func (c *Client) fetch(ctx context.Context) (Token, time.Time, error) {
	asked := rest.ClockOr(c.retry.Clock).Now()
	k := call{op: "token", method: http.MethodPost, path: "/identity/token", anonymous: true, idempotent: true, form: url.Values{
		"grant_type":    {"urn:ibm:params:oauth:grant-type:apikey"},
		"response_type": {"cloud_iam"},
		"apikey":        {c.key},
	}}
	var body raw
	if err := c.do(ctx, k, &body); err != nil {
		return Token{}, time.Time{}, err
	}
	defer clear(body)
	token, renew, err := parseToken(body, asked)
	if err != nil {
		return Token{}, time.Time{}, unavailable(&Error{Op: k.op, Message: err.Error()})
	}
	return token, renew, nil
}

// raw receives a response without decoding it.
type raw []byte

func (r *raw) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
