package keyprotect

import (
	"context"
	"errors"
	"slices"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Disable suspends the root key: until it is enabled nobody wraps or unwraps with it, the
// services of the cloud neither.
func (c *Client) Disable(ctx context.Context) error {
	return c.change(ctx, "disable", c.api.DisableKey)
}

// Enable makes a disabled root key active again. Within 30 seconds of disabling it the error
// is ErrTooEarly.
func (c *Client) Enable(ctx context.Context) error { return c.change(ctx, "enable", c.api.EnableKey) }

// DeleteOptions say how a root key is deleted.
type DeleteOptions struct {
	// Protecting deletes it even if resources such as buckets are registered as protected by
	// it: their data cannot be read then. Without it the error is ErrInUse.
	Protecting bool
}

// Delete deletes the root key. What it wrapped cannot be unwrapped any more; the service can
// restore the key for 30 days.
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

// EnsureKeyRing makes the key ring of the client in the instance, and reports whether it was
// not there.
func (c *Client) EnsureKeyRing(ctx context.Context) (made bool, err error) {
	err = c.call(ctx, call{op: "create key ring"}, func(ctx context.Context) error { return c.api.CreateKeyRing(ctx, c.keyRing) })
	if e := (*rest.Error)(nil); errors.As(err, &e) && e.Code == "KEY_RING_NOT_UNIQUE_ERR" {
		return false, nil
	}
	return err == nil, err
}

// checkKeyRing returns ErrNoKeyRing if the instance does not have the key ring of the client. Who may
// use keys need not be allowed to list key rings: then it says nothing.
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
