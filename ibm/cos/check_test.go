package cos_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// TestChecked uses a service that stores other content than was sent, with another length or
// another ETag. The service reveals this only in a later HEAD request. All ways to
// create an object must detect it.
func TestChecked(t *testing.T) {
	b := noise(6*mib, 11)
	for lie, header := range map[string][2]string{
		"a byte less": {"Content-Length", "%"},
		"the ETag":    {"Etag", `"00112233445566778899aabbccddeeff"`},
		"of parts":    {"Etag", `"00112233445566778899aabbccddeeff-3"`},
	} {
		for way, send := range map[string]func(c *cos.Client, b []byte) error{
			"one request": func(c *cos.Client, b []byte) error {
				_, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{})
				return err
			},
			"parts": func(c *cos.Client, b []byte) error {
				_, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
				return err
			},
			"parts, resumable": func(c *cos.Client, b []byte) error {
				_, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, State: &memory{}})
				return err
			},
			"a stream": func(c *cos.Client, b []byte) error {
				_, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib})
				return err
			},
			"a short stream": func(c *cos.Client, b []byte) error {
				_, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b[:1000]), cos.StreamOptions{PartSize: 5 * mib})
				return err
			},
			"a sink": func(c *cos.Client, b []byte) error {
				k, err := c.NewSink(ctx, object("x"), int64(len(b)), cos.SinkOptions{PartSize: 5 * mib, Open: 6})
				if err != nil {
					return err
				}
				if _, err := k.WriteAt(b, 0); err != nil {
					return err
				}
				return k.Close()
			},
		} {
			s := newService(t)
			c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
			if err := send(c, b); err != nil {
				t.Fatalf("%s, undamaged: %v", way, err)
			}
			s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodHead {
					return false
				}
				answer := httptest.NewRecorder()
				s.s3.ServeHTTP(answer, r)
				for k, v := range answer.Header() {
					w.Header()[k] = v
				}
				if header[1] == "%" {
					n, _ := strconv.Atoi(answer.Header().Get(header[0]))
					w.Header().Set(header[0], strconv.Itoa(n-1))
				} else {
					w.Header().Set(header[0], header[1])
				}
				w.WriteHeader(answer.Code)
				return true
			})
			if err := send(c, b); !errors.Is(err, cos.ErrChecksum) {
				t.Errorf("wrong %s, sent as %s: %v", lie, way, err)
			}
		}
	}
}
