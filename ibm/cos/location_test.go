package cos_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// notRead is a source that must not be read.
type notRead struct{ t *testing.T }

func (n notRead) ReadAt([]byte, int64) (int, error) {
	n.t.Error("the source was read")
	return 0, io.EOF
}

// TestNotRegional uses places from which images cannot be imported. The client refuses uploads
// to them before it sends a request or reads the source.
func TestNotRegional(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	for _, place := range []string{"us", "eu", "ap", "us-geo", "dal-us-geo", "us-standard", "eu-smart", "ap-flex", "ams03", "ams03-standard", "sng01-vault", "mon01-cold"} {
		at := cos.Object{Region: place, Bucket: "images", Key: "x"}
		_, upload := c.Upload(ctx, at, notRead{t}, 6*mib, cos.UploadOptions{})
		_, stream := c.NewWriter(ctx, at, cos.StreamOptions{})
		_, sink := c.NewSink(ctx, at, 6*mib, cos.SinkOptions{})
		_, before := c.CheckPlace(ctx, at, cos.PlaceOptions{})
		bucket := c.CreateBucket(ctx, place, "other-bucket", cos.BucketOptions{})
		for way, err := range map[string]error{"upload": upload, "stream": stream, "sink": sink, "before": before, "deploy": at.CheckImages(), "bucket": bucket} {
			if !errors.Is(err, cos.ErrBucketRegion) {
				t.Errorf("%s, %s: %v", place, way, err)
			}
		}
	}
	if len(s.calls) > 0 {
		t.Errorf("requests sent: %v", s.calls)
	}
	// The location of the bucket counts too, whatever the endpoint.
	for location, refused := range map[string]bool{"us-standard": true, "ap-flex": true, "us-onerate_active": true, "ams03-smart": true, "us-south-onerate_active": false, "us-south-flex": false, "us-south": false, "": false} {
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if !r.URL.Query().Has("location") {
				return false
			}
			fmt.Fprintf(w, "<LocationConstraint>%s</LocationConstraint>", location)
			return true
		})
		if _, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{}); errors.Is(err, cos.ErrBucketRegion) != refused || err != nil && !refused {
			t.Errorf("a bucket in %q: %v", location, err)
		}
	}
}

// TestTooLarge checks the limits of the service, which need no request and no reading.
func TestTooLarge(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	for _, l := range []struct {
		size, part int64
		text       string
	}{
		{10<<40 + 1, 0, "object is too large: 10995116277761 bytes exceed the limit of 10995116277760 (10 TB)"},
		{50_000*mib + 1, 5 * mib, "object is too large: 52428800001 bytes in parts of 5242880 make 10001 parts, more than the limit of 10000"},
	} {
		_, upload := c.Upload(ctx, object("x"), notRead{t}, l.size, cos.UploadOptions{PartSize: l.part, State: &memory{}})
		_, stream := c.NewWriter(ctx, object("x"), cos.StreamOptions{Size: l.size, PartSize: l.part})
		_, sink := c.NewSink(ctx, object("x"), l.size, cos.SinkOptions{PartSize: l.part})
		_, before := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{Size: l.size, PartSize: l.part})
		for way, err := range map[string]error{"upload": upload, "stream": stream, "sink": sink, "before": before} {
			if !errors.Is(err, cos.ErrTooLarge) || err.Error() != l.text {
				t.Errorf("%s: %v, want %s", way, err, l.text)
			}
		}
	}
	if len(s.calls) > 0 {
		t.Errorf("requests sent: %v", s.calls)
	}
	// The exact limit is allowed.
	if _, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{Size: 10 << 40}); err != nil {
		t.Error(err)
	}
	if _, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{Size: 50_000 * mib, PartSize: 5 * mib}); err != nil {
		t.Error(err)
	}
}
