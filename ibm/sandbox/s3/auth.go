package s3

import (
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// An identity is who makes a request, and how its body is signed.
type identity struct {
	account string
	bearer  bool

	payload string // X-Amz-Content-Sha256, or ""
	auth    *sigv4.Authorization
	key     []byte // that signs chunks
}

// maxSkew is how much the clock of a client may be wrong.
const maxSkew = 15 * time.Minute

// authenticate tells who makes a request.
func (s *Server) authenticate(r *http.Request) (*identity, error) {
	header := r.Header.Get("Authorization")
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if !validPayload(payload) {
		return nil, refusal("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.")
	}
	scheme, _, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return nil, refusal("AccessDenied", "Access Denied")
	case strings.EqualFold(scheme, "bearer"):
		if s.o.Token != nil {
			if account, ok := s.o.Token(r.Context(), bearer(r)); ok {
				return &identity{account: account, bearer: true, payload: payload}, nil
			}
		}
		return nil, refusal("Unauthorized", "The token is not valid, or it has expired.")
	}
	a, err := sigv4.Parse(header)
	if err != nil {
		return nil, refusal("AuthorizationHeaderMalformed", "The authorization header is malformed.")
	}
	if payload == "" {
		return nil, refusal("MissingSecurityHeader", "The request is missing the header x-amz-content-sha256.")
	}
	when, err := time.Parse(sigv4.TimeFormat, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, refusal("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header.")
	}
	if skew := s.o.Now().Sub(when); skew > maxSkew || skew < -maxSkew {
		return nil, refusal("RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
	}
	if s.o.HMAC == nil {
		return nil, refusal("InvalidAccessKeyId", "The access key ID you provided does not exist in our records.")
	}
	secret, account, ok := s.o.HMAC(a.AccessKey)
	if !ok {
		return nil, refusal("InvalidAccessKeyId", "The access key ID you provided does not exist in our records.")
	}
	if !a.Verify(r, secret) {
		return nil, refusal("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	return &identity{account: account, payload: payload, auth: a, key: a.Key(secret)}, nil
}

// bearer returns the token of a request that has one.
func bearer(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token)
}

func validPayload(payload string) bool {
	switch payload {
	case "", sigv4.UnsignedPayload, streamSigned, streamSignedTrailer, streamUnsignedTrailer:
		return true
	}
	b, err := hex.DecodeString(payload)
	return err == nil && len(b) == 32 && payload == strings.ToLower(payload)
}
