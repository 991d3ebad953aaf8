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

// A State says which operations a key allows.
type State int

// States of a key (NIST SP 800-57).
const (
	Active      State = 1 // allows all operations
	Suspended   State = 2 // allows none until it is enabled
	Deactivated State = 3 // expired: unwraps, but does not wrap
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

// A Key is the metadata of a key. It never holds key material.
type Key struct {
	ID          string
	CRN         string
	Name        string
	State       State
	Extractable bool // true for a standard key, false for a root key
	Imported    bool
	Ring        string    // the id of the key ring
	Version     string    // the id of the newest version
	Created     time.Time // Created, Rotated and Expires are zero if the service gives none
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

// Metadata returns the metadata of the root key.
func (c *Client) Metadata(ctx context.Context) (Key, error) {
	id, err := c.root("key metadata")
	if err != nil {
		return Key{}, err
	}
	return c.key(ctx, call{op: "key metadata", idempotent: true}, func(ctx context.Context) (*kp.Key, error) { return c.api.GetKeyMetadata(ctx, id) })
}

// CreateRootKey has the service generate a root key in the instance.
func (c *Client) CreateRootKey(ctx context.Context, name string) (Key, error) {
	return c.key(ctx, call{op: "create root key"}, func(ctx context.Context) (*kp.Key, error) { return c.api.CreateKeyWithOptions(ctx, name, false) })
}

// CreateStandardKey has the service generate a standard key of 32 bytes in the instance. [Client.StandardKey] reads
// its bytes.
func (c *Client) CreateStandardKey(ctx context.Context, name string) (Key, error) {
	return c.key(ctx, call{op: "create standard key"}, func(ctx context.Context) (*kp.Key, error) { return c.api.CreateKeyWithOptions(ctx, name, true) })
}

// ErrNoStandardKey means that the bytes of a key cannot be read, or are not base64.
var ErrNoStandardKey = errors.New("not a standard key")

// StandardKey returns the bytes of a standard key, which can seed a data encryption key. The caller wipes them. For a
// root key, the error is [ErrNoStandardKey].
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

// RootKeys lists the root keys of the instance, or of the client's key ring, without deleted ones. If the key ring
// does not exist, the error is [ErrNoKeyRing].
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
				return nil, c.checkKeyRing(ctx) // the service returns an empty list for a missing key ring
			}
			return all, nil
		}
	}
	return nil, unavailable("list keys", "the instance has more than 20000 keys", nil)
}

// key makes a call whose response holds one key.
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
		err = unavailable(k.op, "the response holds no key", nil)
	}
	return key, err
}
