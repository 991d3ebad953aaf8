package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"hash"
	"net/http"
	"time"
)

// blob is the content of a Key Protect ciphertext, version 4: base64 of its JSON. Clients treat it
// as opaque.
type blob struct {
	Ciphertext []byte `json:"ciphertext"`
	IV         []byte `json:"iv"`
	Version    string `json:"version"`
	Handle     string `json:"handle"` // key version
}

const blobVersion = "4.0.0"

func (v *version) gcm() cipher.AEAD {
	block, err := aes.NewCipher(v.Material)
	if err != nil {
		panic(err) // unreachable: creation checks the length
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

func (v *version) seal(plain, ad []byte) string {
	b := blob{IV: random(12), Version: blobVersion, Handle: v.ID}
	b.Ciphertext = v.gcm().Seal(nil, b.IV, plain, ad)
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // unreachable: bytes and strings always marshal
	}
	return base64.StdEncoding.EncodeToString(text)
}

func (k *key) open(ciphertext string, ad []byte) ([]byte, *version, *Failure) {
	text, err := base64.StdEncoding.DecodeString(ciphertext)
	if err != nil {
		return nil, nil, failCiphertext
	}
	var b blob
	if json.Unmarshal(text, &b) != nil || b.Version != blobVersion || len(b.IV) != 12 {
		return nil, nil, failCiphertext
	}
	for i := range k.Versions {
		v := &k.Versions[i]
		if v.ID != b.Handle {
			continue
		}
		plain, err := v.gcm().Open(nil, b.IV, b.Ciphertext, ad)
		if err != nil {
			return nil, nil, failCiphertext
		}
		return plain, v, nil
	}
	return nil, nil, failCiphertext
}

// additional encodes the additional authenticated data as one string, with the length before
// each entry.
func additional(list []string) ([]byte, *Failure) {
	if len(list) > 255 {
		return nil, badBody("the field `aad` may have 255 entries")
	}
	var ad []byte
	for _, a := range list {
		if len(a) > 255 {
			return nil, badBody("an entry of the field `aad` may have 255 characters")
		}
		ad = binary.BigEndian.AppendUint32(ad, uint32(len(a)))
		ad = append(ad, a...)
	}
	return ad, nil
}

// importToken is a transport key of an instance, for encrypted key material.
type importToken struct {
	ID        string    `json:"id"`
	Instance  string    `json:"instance"`
	Private   []byte    `json:"private"` // PKCS #1
	Nonce     []byte    `json:"nonce"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	Max       int       `json:"max"`
	Remaining int       `json:"remaining"`
}

const rsaBits = 2048 // the real service uses 4096, which takes seconds to generate

func (s *Server) importTokenOf(i *instance) (*importToken, *Failure) {
	for _, t := range s.st.Tokens {
		if t.Instance == i.ID {
			if !s.now().Before(t.Expires) {
				return nil, failTokenOver
			}
			return t, nil
		}
	}
	return nil, &Failure{404, "IMPORT_TOKEN_NOT_FOUND_ERR", "No import token exists in this instance"}
}

func (s *Server) createImportToken(r *request) (int, any, *Failure) {
	in := struct {
		Expiration int `json:"expiration"`
		Max        int `json:"maxAllowedRetrievals"`
	}{600, 1}
	if f := r.decode(&in, false); f != nil {
		return 0, nil, f
	}
	if in.Expiration < 300 || in.Expiration > 86400 || in.Max < 1 || in.Max > 500 {
		return 0, nil, badBody("expiration must be 300 to 86400 s, maxAllowedRetrievals 1 to 500")
	}
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return 0, nil, &Failure{500, "", "Internal Server Error"}
	}
	now := s.now()
	t := &importToken{ID: newID(), Instance: r.instance.ID, Private: x509.MarshalPKCS1PrivateKey(private), Nonce: random(12), Created: now,
		Expires: now.Add(time.Duration(in.Expiration) * time.Second), Max: in.Max, Remaining: in.Max}
	kept := s.st.Tokens[:0:0] // a new token replaces the previous one
	for _, old := range s.st.Tokens {
		if old.Instance != r.instance.ID {
			kept = append(kept, old)
		}
	}
	s.st.Tokens = append(kept, t)
	return http.StatusOK, map[string]any{"id": t.ID, "creationDate": date(t.Created), "expirationDate": date(t.Expires),
		"maxAllowedRetrievals": t.Max, "remainingRetrievals": t.Remaining}, nil
}

func (s *Server) getImportToken(r *request) (int, any, *Failure) {
	t, f := s.importTokenOf(r.instance)
	if f != nil {
		return 0, nil, f
	}
	if t.Remaining <= 0 {
		return 0, nil, failTokenOver
	}
	private, err := x509.ParsePKCS1PrivateKey(t.Private)
	if err != nil {
		return 0, nil, &Failure{500, "", "Internal Server Error"}
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return 0, nil, &Failure{500, "", "Internal Server Error"}
	}
	t.Remaining--
	return http.StatusOK, map[string]any{"id": t.ID, "creationDate": date(t.Created), "expirationDate": date(t.Expires),
		"payload": base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"nonce":   base64.StdEncoding.EncodeToString(t.Nonce)}, nil
}

// imported decrypts key material encrypted under the import token, and checks the nonce
// encrypted with that material.
func (s *Server) imported(i *instance, payload []byte, nonce64, iv64, algorithm string) ([]byte, *Failure) {
	t, f := s.importTokenOf(i)
	if f != nil {
		return nil, f
	}
	// Key Protect requires SHA-256 and GCM; Hyper Protect Crypto Services SHA-1 and CBC.
	hyper := i.Service == "hs-crypto"
	var sum hash.Hash
	switch {
	case algorithm == "RSAES_OAEP_SHA_256" && !hyper:
		sum = sha256.New()
	case algorithm == "RSAES_OAEP_SHA_1" && hyper:
		sum = sha1.New()
	default:
		return nil, badBody("the field `encryptionAlgorithm` is not supported")
	}
	private, err := x509.ParsePKCS1PrivateKey(t.Private)
	if err != nil {
		return nil, &Failure{500, "", "Internal Server Error"}
	}
	material, err := rsa.DecryptOAEP(sum, nil, private, payload, nil)
	if err != nil {
		return nil, badBody("the field `payload` was not encrypted with the import token")
	}
	block, err := aes.NewCipher(material)
	if err != nil {
		return nil, badBody("the key material of a root key must have 16, 24 or 32 bytes")
	}
	nonce, err1 := base64.StdEncoding.DecodeString(nonce64)
	iv, err2 := base64.StdEncoding.DecodeString(iv64)
	if err1 != nil || err2 != nil {
		return nil, failNonceIV
	}
	var plain []byte
	if hyper {
		plain = openCBC(block, iv, nonce)
	} else if gcm, err := cipher.NewGCM(block); err == nil && len(iv) == gcm.NonceSize() {
		plain, _ = gcm.Open(nil, iv, nonce, nil)
	}
	if subtle.ConstantTimeCompare(plain, t.Nonce) != 1 {
		return nil, failNonce
	}
	return material, nil
}

// openCBC decrypts and removes the PKCS #7 padding; nil if the padding is invalid.
func openCBC(block cipher.Block, iv, text []byte) []byte {
	n := block.BlockSize()
	if len(iv) != n || len(text) == 0 || len(text)%n != 0 {
		return nil
	}
	out := make([]byte, len(text))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, text)
	pad := int(out[len(out)-1])
	if pad < 1 || pad > n {
		return nil
	}
	return out[:len(out)-pad]
}
