package cos_test

import (
	"net/http"
	"net/url"
	"time"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// resign changes the URL of a received request and signs it again.
func resign(r *http.Request, u *url.URL) {
	r.URL = u
	when, _ := time.Parse(sigv4.TimeFormat, r.Header.Get("X-Amz-Date"))
	sigv4.Sign(r, accessKey, []byte(secretKey), "us-south", r.Header.Get("X-Amz-Content-Sha256"), when)
}
