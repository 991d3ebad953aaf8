package keyprotect

import (
	"context"
	"encoding/base64"
	"fmt"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/wrap"
)

// importSeconds is the lifetime of an import token. The service accepts no shorter one.
const importSeconds = 300

// ImportRootKey creates a root key from material of 16, 24 or 32 bytes. The material travels encrypted with a
// transport key of the service (an import token), within TLS. The caller wipes material. If the length is different,
// the error is wrap.ErrKey.
func (c *Client) ImportRootKey(ctx context.Context, name string, material []byte) (Key, error) {
	sealed, err := c.seal(ctx, "import root key", material)
	if err != nil {
		return Key{}, err
	}
	return c.key(ctx, call{op: "import root key"}, func(ctx context.Context) (*kp.Key, error) {
		return c.api.CreateKeyWithOptions(ctx, name, false, kp.WithPayload(sealed.payload, &sealed.nonce, &sealed.iv, c.hyper()))
	})
}

// Rotate gives the root key a new version, which wraps from then on. Older versions still unwrap the keys that they
// wrapped. An imported root key needs new material of 16, 24 or 32 bytes. For a root key that the service generated,
// material must be nil.
func (c *Client) Rotate(ctx context.Context, material []byte) error {
	id, err := c.root("rotate")
	if err != nil {
		return err
	}
	var payload *kp.KeyPayload
	if material != nil {
		sealed, err := c.seal(ctx, "rotate", material)
		if err != nil {
			return err
		}
		p := kp.NewKeyPayload(sealed.payload, sealed.nonce, sealed.iv).WithRSA256()
		if c.hyper() {
			p = p.WithRSA1()
		}
		payload = &p
	}
	return c.call(ctx, call{op: "rotate"}, func(ctx context.Context) error { return c.api.RotateV2(ctx, id, payload) })
}

// hyper reports whether the service is Hyper Protect Crypto Services. It accepts imported material with SHA-1 and
// CBC, where Key Protect uses SHA-256 and GCM.
func (c *Client) hyper() bool { return c.crn.Service == crn.HyperCrypt }

type sealed struct{ payload, nonce, iv string }

// seal encrypts key material for the service. It encrypts the material with the transport key of a new import token,
// and the token's nonce with the material.
func (c *Client) seal(ctx context.Context, op string, material []byte) (sealed, error) {
	switch len(material) {
	case 16, 24, 32:
	default:
		return sealed{}, fmt.Errorf("key protect: %s: %w: the material has %d bytes, want 16, 24 or 32", op, wrap.ErrKey, len(material))
	}
	if err := c.call(ctx, call{op: "import token"}, func(ctx context.Context) error {
		_, err := c.api.CreateImportToken(ctx, importSeconds, 1)
		return err
	}); err != nil {
		return sealed{}, err
	}
	var token *kp.ImportTokenKeyResponse
	if err := c.call(ctx, call{op: "import token"}, func(ctx context.Context) (err error) {
		token, err = c.api.GetImportTokenTransportKey(ctx)
		return err
	}); err != nil {
		return sealed{}, err
	}
	encryptKey, encryptNonce := kp.EncryptKey, kp.EncryptNonce
	if c.hyper() {
		//lint:ignore SA1019 Hyper Protect Crypto Services accepts nothing newer
		encryptKey, encryptNonce = kp.EncryptKeyWithSHA1, kp.EncryptNonceWithCBCPAD
	}
	text := base64.StdEncoding.EncodeToString(material)
	payload, err := encryptKey(text, token.Payload)
	var nonce, iv string
	if err == nil {
		nonce, iv, err = encryptNonce(text, token.Nonce, "")
	}
	if err != nil {
		// Not err itself, which can quote its input.
		return sealed{}, unavailable(op, "the import token of the service cannot be used", nil)
	}
	return sealed{payload, nonce, iv}, nil
}
