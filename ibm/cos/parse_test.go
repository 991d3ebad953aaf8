package cos

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker><Part><PartNumber>1</PartNumber><ETag>\"x\"</ETag><Size>5</Size></Part></ListPartsResult>",
		"<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload></ListMultipartUploadsResult>",
		"<LocationConstraint xmlns='x'>us-south-standard</LocationConstraint>",
		"<Error><Code>NoSuchKey</Code><Message>m</Message><Endpoint>s3.eu-de.cloud-object-storage.appdomain.cloud</Endpoint></Error>",
		`{"version":1,"object":"cos://us-south/b/k","size":11,"part_size":5242880,"upload_id":"u"}`,
		`{"version":1,"size":11,"chunk_size":10,"md5":["","00112233445566778899aabbccddeeff"]}`,
		"00112233445566778899aabbccddeeff-17",
	} {
		f.Add([]byte(seed))
	}
	c, err := New(Options{HMAC: &HMAC{AccessKeyID: "a", SecretAccessKey: []byte("s")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if parts, next, err := parseParts(b); err == nil {
			for _, p := range parts {
				if p.number < 1 || p.number > MaxParts || p.size < 0 {
					t.Errorf("part %+v", p)
				}
			}
			if next < 0 || next > MaxParts {
				t.Errorf("next %d", next)
			}
		}
		parseUploads(b)
		if l, err := parseLocation(b); err == nil && len(l) > 64 {
			t.Errorf("location %q", l)
		}
		if s, err := parseUploadState(b); err == nil && partCount(s.Size, s.PartSize) > MaxParts {
			t.Errorf("state %+v", s)
		}
		if s, err := parseDownloadState(b); err == nil {
			for _, sum := range s.MD5 {
				if _, err := hex.DecodeString(sum); err != nil {
					t.Errorf("state %+v", s)
				}
			}
		}
		if sum, parts, ok := parseETag(string(b)); ok && (len(sum) != 16 || parts < 0 || parts > MaxParts) {
			t.Errorf("ETag %q: %x, %d", b, sum, parts)
		}
		e := c.parseError(&request{method: "GET", at: Object{Region: "us-south", Bucket: "bucket"}}, &http.Response{StatusCode: 403, Header: http.Header{}}, b)
		if text := e.Error() + e.Hint(); len(text) > 3000 || strings.ContainsAny(text, "\n\x00") {
			t.Errorf("error %q", text)
		}
	})
}

func TestDefaultParts(t *testing.T) {
	const gib = 1 << 30
	for size, want := range map[int64]int64{
		0: 16 << 20, 1 << 20: 16 << 20, 15 * gib: 16 << 20, 17 * gib: 32 << 20, 100 * gib: 64 << 20, 620 * gib: 64 << 20, 1000 * gib: 103 << 20,
	} {
		got, err := choosePart(size, 0, defaultPart(size))
		if err != nil || got != want || partCount(size, got) > MaxParts {
			t.Errorf("%d bytes: parts of %d, %v, want %d", size, got, err, want)
		}
	}
	if got, err := choosePart(MaxObject, 0, 16<<20); err != nil || got != 1049<<20 || partCount(MaxObject, got) > MaxParts {
		t.Errorf("the largest: %d, %v", got, err)
	}
	// A stream of unknown length must have room for the largest image in its 10,000 parts.
	w := &Writer{s: &sender{}}
	var sum int64
	for part := 1; part <= MaxParts; part++ {
		sum += w.sizeOf(part)
	}
	if sum < 400*gib {
		t.Errorf("a stream holds %d bytes", sum)
	}
}

// TestChecksums uses the check values of the CRC catalogue, and hashes of the same text.
func TestChecksums(t *testing.T) {
	text := "123456789"
	for header, want := range map[string]string{
		"X-Amz-Checksum-Crc32":     "y/Q5Jg==",
		"X-Amz-Checksum-Crc32c":    "4waSgw==",
		"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg=",
		"X-Amz-Checksum-Sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"X-Amz-Checksum-Sha256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	} {
		c := readChecksum(http.Header{header: {want}})
		for content, same := range map[string]bool{text: true, "12345678x": false} {
			if ok, err := c.matches(strings.NewReader("x"+content), 1, 9, 0, make([]byte, 4)); ok != same || err != nil {
				t.Errorf("%s of %s: %v, %v", header, content, ok, err)
			}
		}
	}
}
