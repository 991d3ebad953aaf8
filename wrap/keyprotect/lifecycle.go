package keyprotect

import (
	"context"
	"errors"
	"slices"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Disable suspends the root key. Until [Client.Enable], nobody can wrap or unwrap with it. That includes the services
// of the cloud.
func (c *Client) Disable(ctx context.Context) error {
	return c.change(ctx, "disable", c.api.DisableKey)
}

// Enable activates a disabled root key. Within 30 seconds after Disable, the error is [ErrTooEarly].
func (c *Client) Enable(ctx context.Context) error { return c.change(ctx, "enable", c.api.EnableKey) }

// DeleteOptions are the settings of [Client.Delete].
type DeleteOptions struct {
	// Protecting deletes the root key even if it protects registered resources such as buckets. Their data become
	// unreadable. If false, the error is [ErrInUse].
	Protecting bool
}

// Delete deletes the root key. Then nobody can unwrap the keys that it wrapped. The service can restore the root key
// within 30 days.
func (c *Client) Delete(ctx context.Context, o DeleteOptions) error {
	return c.change(ctx, "delete", func(ctx context.Context, id string) error {
		_, err := c.api.DeleteKey(ctx, id, kp.ReturnMinimal, kp.ForceOpt{Force: o.Protecting})
		return err
	})
}

func (c *Client) change(ctx context.Context, op string, f func(context.Context, string) error) error {
	id, err := c.root(op)
	if err != nil {
		return err
	}
	return c.call(ctx, call{op: op}, func(ctx context.Context) error { return f(ctx, id) })
}

// EnsureKeyRing creates the client's key ring in the instance unless it exists. made reports whether it was created.
func (c *Client) EnsureKeyRing(ctx context.Context) (made bool, err error) {
	err = c.call(ctx, call{op: "create key ring"}, func(ctx context.Context) error { return c.api.CreateKeyRing(ctx, c.keyRing) })
	if e := (*rest.Error)(nil); errors.As(err, &e) && e.Code == "KEY_RING_NOT_UNIQUE_ERR" {
		return false, nil
	}
	return err == nil, err
}

// checkKeyRing returns ErrNoKeyRing if the instance lacks the client's key ring. It returns nil if the identity may
// not list key rings.
func (c *Client) checkKeyRing(ctx context.Context) error {
	k := call{op: "list key rings", idempotent: true}
	there := false
	err := c.call(ctx, k, func(ctx context.Context) error {
		rings, err := c.api.GetKeyRings(ctx)
		there = err == nil && slices.ContainsFunc(rings.KeyRings, func(r kp.KeyRing) bool { return r.ID == c.keyRing })
		return err
	})
	switch {
	case errors.Is(err, wrap.ErrDenied):
		return nil
	case err == nil && !there:
		return k.failed(ErrNoKeyRing, &Error{Message: c.keyRing}, nil)
	}
	return err
}
