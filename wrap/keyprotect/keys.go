package keyprotect

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/ibm/crn"
)

// A State is what may be done with a key.
type State int

// States of a key (NIST SP 800-57).
const (
	Active      State = 1 // everything
	Suspended   State = 2 // nothing, until it is enabled
	Deactivated State = 3 // expired: turns back what it wrapped, wraps no more
	Destroyed   State = 5 // deleted
)

// String returns the name of the state.
func (s State) String() string {
	switch s {
	case 0:
		return "preactive"
	case Active:
		return "active"
	case Suspended:
		return "suspended"
	case Deactivated:
		return "deactivated"
	case Destroyed:
		return "destroyed"
	}
	return fmt.Sprintf("state %d", int(s))
}

// A Key is what the service tells of a key; never the key itself.
type Key struct {
	ID          string
	CRN         string
	Name        string
	State       State
	Extractable bool // a standard key; a root key is not
	Imported    bool
	Ring        string    // the id of its key ring
	Version     string    // the id of its newest version
	Created     time.Time // zero where there is none, as with the next two
	Rotated     time.Time
	Expires     time.Time
}

func keyOf(k *kp.Key) Key {
	own := Key{ID: k.ID, CRN: k.CRN, Name: k.Name, State: State(k.State), Extractable: k.Extractable, Imported: k.Imported, Ring: k.KeyRingID}
	for _, t := range []struct {
		to   *time.Time
		from *time.Time
	}{{&own.Created, k.CreationDate}, {&own.Rotated, k.LastRotateDate}, {&own.Expires, k.Expiration}} {
		if t.from != nil {
			*t.to = *t.from
		}
	}
	if k.KeyVersion != nil {
		own.Version = k.KeyVersion.ID
	}
	return own
}

// Metadata returns what the service tells of the root key.
func (c *Client) Metadata(ctx context.Context) (Key, error) {
	id, err := c.root("key metadata")
	if err != nil {
		return Key{}, err
	}
	return c.key(ctx, call{op: "key metadata", idempotent: true}, func(ctx context.Context) (*kp.Key, error) { return c.api.GetKeyMetadata(ctx, id) })
}

// CreateRootKey makes a root key in the instance, in the service itself.
func (c *Client) CreateRootKey(ctx context.Context, name string) (Key, error) {
	return c.key(ctx, call{op: "create root key"}, func(ctx context.Context) (*kp.Key, error) { return c.api.CreateKeyWithOptions(ctx, name, false) })
}

// CreateStandardKey makes a standard key in the instance: one whose bytes StandardKey can
// get. The service makes 32 bytes.
func (c *Client) CreateStandardKey(ctx context.Context, name string) (Key, error) {
	return c.key(ctx, call{op: "create standard key"}, func(ctx context.Context) (*kp.Key, error) { return c.api.CreateKeyWithOptions(ctx, name, true) })
}

// ErrNoStandardKey is a key that cannot seed a data encryption key.
var ErrNoStandardKey = errors.New("not a standard key")

// StandardKey returns the bytes of a standard key, as a seed of a data encryption key. The
// caller wipes them.
func (c *Client) StandardKey(ctx context.Context, id string) ([]byte, error) {
	if _, err := crn.ParseRootKey(c.crn.Key(id).String()); err != nil {
		return nil, fmt.Errorf("key protect: read standard key: %w", err)
	}
	var payload string
	k, err := c.key(ctx, call{op: "read standard key", idempotent: true}, func(ctx context.Context) (*kp.Key, error) {
		k, err := c.api.GetKey(ctx, id)
		if err == nil {
			payload = k.Payload
		}
		return k, err
	})
	if err != nil {
		return nil, err
	}
	if !k.Extractable || payload == "" {
		return nil, fmt.Errorf("key protect: read standard key: %w: it is a root key, which never leaves the service", ErrNoStandardKey)
	}
	b, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return nil, fmt.Errorf("key protect: read standard key: %w: it is not base64 text", ErrNoStandardKey)
	}
	return b, nil
}

const (
	listPage  = 200
	listLimit = 20000
)

// RootKeys lists the root keys of the instance, or of the key ring of the client, but for
// deleted ones. If there is no such key ring the error is ErrNoKeyRing.
func (c *Client) RootKeys(ctx context.Context) ([]Key, error) {
	var all []Key
	extractable := false
	for offset := uint32(0); offset < listLimit; offset += listPage {
		limit, n := uint32(listPage), 0
		err := c.call(ctx, call{op: "list keys", idempotent: true}, func(ctx context.Context) error {
			keys, err := c.api.ListKeys(ctx, &kp.ListKeysOptions{Extractable: &extractable, Limit: &limit, Offset: &offset})
			if err != nil {
				return err
			}
			n = len(keys.Keys)
			for i := range keys.Keys {
				if k := keyOf(&keys.Keys[i]); !k.Extractable && k.State != Destroyed {
					all = append(all, k)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if n < listPage {
			if len(all) == 0 && c.keyRing != "" {
				return nil, c.checkKeyRing(ctx) // the list of a missing key ring is empty
			}
			return all, nil
		}
	}
	return nil, unavailable("list keys", "the list has too many keys", nil)
}

// key does a call whose answer is one key.
func (c *Client) key(ctx context.Context, k call, f func(context.Context) (*kp.Key, error)) (Key, error) {
	k.wantKey = true
	var key Key
	err := c.call(ctx, k, func(ctx context.Context) error {
		got, err := f(ctx)
		if err == nil {
			key = keyOf(got)
		}
		return err
	})
	if err == nil && key.ID == "" {
		err = unavailable(k.op, "the answer holds no key", nil)
	}
	return key, err
}
