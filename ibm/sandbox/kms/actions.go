package kms

import (
	"encoding/base64"
	"net/http"
)

// actionJSON is the body of the actions and of their responses.
type actionJSON struct {
	Plaintext        string       `json:"plaintext,omitempty"`
	Ciphertext       string       `json:"ciphertext,omitempty"`
	AAD              []string     `json:"aad,omitempty"`
	KeyVersion       *versionJSON `json:"keyVersion,omitempty"`
	RewrappedVersion *versionJSON `json:"rewrappedKeyVersion,omitempty"`
}

// usable returns the root key of an action if the state of the key allows the action. A
// deactivated key can still unwrap.
func (s *Server) usable(r *request, whenDeactivated bool) (*key, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return nil, f
	}
	if f := s.inState(k, whenDeactivated); f != nil {
		return nil, f
	}
	return k, nil
}

func (s *Server) inState(k *key, whenDeactivated bool) *Failure {
	switch k.state(s.now()) {
	case destroyed:
		return failDeleted
	case suspended:
		return failState
	case deactivated:
		if !whenDeactivated {
			return failKeyExpired
		}
	}
	if k.Extractable {
		return failRootOnly
	}
	return nil
}

func (s *Server) wrap(r *request) (int, any, *Failure) {
	k, f := s.usable(r, false)
	if f != nil {
		return 0, nil, f
	}
	var in actionJSON
	if f := r.decode(&in, true); f != nil {
		return 0, nil, f
	}
	var out actionJSON
	plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
	if err != nil {
		return 0, nil, badBody("the field `plaintext` must be a base64 encoded string")
	}
	if in.Plaintext == "" { // the service generates a key
		plain = random(32)
		out.Plaintext = base64.StdEncoding.EncodeToString(plain)
	}
	ad, f := additional(in.AAD)
	if f != nil {
		return 0, nil, f
	}
	v := k.latest()
	r.version = v.ID
	out.Ciphertext = v.seal(plain, ad)
	out.KeyVersion = &versionJSON{ID: v.ID}
	return http.StatusOK, out, nil
}

func (s *Server) unwrap(r *request) (int, any, *Failure) {
	k, f := s.usable(r, true)
	if f != nil {
		return 0, nil, f
	}
	out, f := s.open(r, k)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, out, nil
}

func (s *Server) rewrap(r *request) (int, any, *Failure) {
	k, f := s.usable(r, true)
	if f != nil {
		return 0, nil, f
	}
	out, f := s.open(r, k)
	if f != nil {
		return 0, nil, f
	}
	if out.Ciphertext == "" { // not rotated: wrap again anyway
		var in actionJSON
		if f := r.decode(&in, true); f != nil {
			return 0, nil, f
		}
		ad, f := additional(in.AAD)
		if f != nil {
			return 0, nil, f
		}
		plain, err := base64.StdEncoding.DecodeString(out.Plaintext)
		if err != nil {
			return 0, nil, failCiphertext
		}
		out.Ciphertext = k.latest().seal(plain, ad)
		out.RewrappedVersion = &versionJSON{ID: k.latest().ID}
	}
	out.Plaintext = ""
	return http.StatusOK, out, nil
}

// open decrypts the ciphertext of a request, and wraps it again if the key was rotated since.
func (s *Server) open(r *request, k *key) (actionJSON, *Failure) {
	var in, out actionJSON
	if f := r.decode(&in, true); f != nil {
		return out, f
	}
	if in.Ciphertext == "" {
		return out, badBody("the field `ciphertext` is missing")
	}
	ad, f := additional(in.AAD)
	if f != nil {
		return out, f
	}
	plain, v, f := k.open(in.Ciphertext, ad)
	if f != nil {
		return out, f
	}
	r.version = v.ID
	out.Plaintext = base64.StdEncoding.EncodeToString(plain)
	out.KeyVersion = &versionJSON{ID: v.ID}
	if last := k.latest(); last.ID != v.ID {
		out.Ciphertext = last.seal(plain, ad)
		out.RewrappedVersion = &versionJSON{ID: last.ID}
	}
	return out, nil
}

func (s *Server) rotate(r *request) (int, any, *Failure) {
	k, f := s.usable(r, true)
	if f != nil {
		return 0, nil, f
	}
	var in struct {
		Payload        string `json:"payload"`
		EncryptedNonce string `json:"encryptedNonce"`
		IV             string `json:"iv"`
		Algorithm      string `json:"encryptionAlgorithm"`
	}
	if f := r.decode(&in, false); f != nil {
		return 0, nil, f
	}
	switch {
	case k.Imported && in.Payload == "":
		return 0, nil, failNeedPayload
	case !k.Imported && in.Payload != "":
		return 0, nil, failNoPayload
	}
	material, f := s.material(r, in.Payload, in.EncryptedNonce, in.IV, in.Algorithm)
	if f != nil {
		return 0, nil, f
	}
	now := s.now()
	if k.Rotated != nil && now.Before(k.Rotated.Add(rotateEvery)) {
		return 0, nil, failRotated
	}
	k.Versions = append(k.Versions, version{newID(), now, material})
	k.Rotated, k.Updated = &now, now
	r.version = k.latest().ID
	return http.StatusNoContent, nil, nil
}
