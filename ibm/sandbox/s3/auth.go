package s3

import (
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// An identity is the authenticated caller of a request, with the data to verify its body.
type identity struct {
	account string
	bearer  bool

	payload string // X-Amz-Content-Sha256, or ""
	auth    *sigv4.Authorization
	key     []byte // signing key of the chunks
}

// maxSkew is the tolerated clock skew of a client.
const maxSkew = 15 * time.Minute

var errDenied = refusal("AccessDenied", "Access Denied")

// authenticate returns the caller of a request. It copies the headers in the query of a presigned URL to the request.
func (s *Server) authenticate(r *http.Request) (*identity, error) {
	header := r.Header.Get("Authorization")
	presigned := sigv4.Presigned(r.URL.Query())
	scheme, _, _ := strings.Cut(header, " ")
	var a *sigv4.Authorization
	var err error
	switch {
	case presigned && header != "":
		return nil, refusal("InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified")
	case presigned:
		if a, err = sigv4.ParseQuery(r.URL.Query()); err != nil {
			return nil, refusal("AuthorizationQueryParametersError", "Error parsing the query parameters of the signature.")
		}
	case scheme == "AWS" || r.URL.Query().Has("AWSAccessKeyId"):
		return nil, refusal("InvalidRequest", "Please use AWS4-HMAC-SHA256.")
	case header == "":
		return nil, errDenied
	case strings.EqualFold(scheme, "bearer"):
		return s.authenticateToken(r)
	default:
		if a, err = sigv4.Parse(header); err != nil {
			return nil, refusal("AuthorizationHeaderMalformed", "The authorization header is malformed.")
		}
	}
	payload := a.Payload(r)
	switch {
	case payload == "":
		return nil, refusal("MissingSecurityHeader", "The request is missing the header x-amz-content-sha256.")
	case !validPayload(payload):
		return nil, errPayload
	}
	if err := s.checkTime(a, r); err != nil {
		return nil, err
	}
	if s.o.HMAC == nil {
		return nil, errKeyID
	}
	secret, account, ok := s.o.HMAC(a.AccessKey)
	if !ok {
		return nil, errKeyID
	}
	if !a.Verify(r, secret) {
		return nil, refusal("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	if presigned {
		hoisted(r)
	}
	return &identity{account: account, payload: payload, auth: a, key: a.Key(secret)}, nil
}

var (
	errKeyID   = refusal("InvalidAccessKeyId", "The access key ID you provided does not exist in our records.")
	errPayload = refusal("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.")
)

func (s *Server) authenticateToken(r *http.Request) (*identity, error) {
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if !validPayload(payload) {
		return nil, errPayload
	}
	if s.o.Token != nil {
		if account, ok := s.o.Token(r.Context(), bearer(r)); ok {
			return &identity{account: account, bearer: true, payload: payload}, nil
		}
	}
	return nil, refusal("Unauthorized", "The token is not valid, or it has expired.")
}

// checkTime refuses a signature with a wrong time, and an expired presigned URL. IBM does not limit
// the validity of presigned URLs: "Creating a pre-signed URL" in IBM's documentation.
func (s *Server) checkTime(a *sigv4.Authorization, r *http.Request) error {
	when, err := a.Time(r)
	age := s.o.Now().Sub(when)
	switch {
	case err != nil:
		return refusal("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header.")
	case a.Presigned && age > a.Expires:
		return refusal("AccessDenied", "Request has expired")
	case a.Presigned && age < -maxSkew:
		return refusal("AccessDenied", "Request is not valid yet")
	case !a.Presigned && (age > maxSkew || age < -maxSkew):
		return refusal("RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
	}
	return nil
}

// hoisted sets the headers that a presigned URL has in its query.
func hoisted(r *http.Request) {
	for name, values := range r.URL.Query() {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "X-Amz-") && !sigv4.OfQuery(name) && r.Header.Get(name) == "" {
			r.Header[name] = values
		}
	}
}

// bearer returns the bearer token of a request, or "".
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
