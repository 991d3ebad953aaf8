package s3_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

func crc32Of(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

func crc64Of(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64.Checksum([]byte(text), crc64.MakeTable(0x9a6c9329ac4bc9b5))))
}

func sha256Of(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		one := sha256.Sum256([]byte(text))
		if len(texts) == 1 {
			return base64.StdEncoding.EncodeToString(one[:])
		}
		h.Write(one[:])
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(texts))
}

// TestChecksumKnown uses the check values of the algorithms.
func TestChecksumKnown(t *testing.T) {
	const text = "123456789"
	s := server(t, s3.Options{})
	for algorithm, want := range map[string]string{"Crc32": "y/Q5Jg==", "Crc32c": "4waSgw==", "Crc64nvme": "rosUhgp5mIg=", "Sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=", "Sha256": sha256Of(text)} {
		w, code := ask(s, "PUT", "/images/x", text, "X-Amz-Checksum-"+algorithm, want)
		if w.Code != 200 || w.Header().Get("X-Amz-Checksum-"+algorithm) != want || w.Header().Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s: %d %s %v", algorithm, w.Code, code, w.Header())
		}
		for _, method := range []string{"GET", "HEAD"} {
			if w, _ := ask(s, method, "/images/x", "", "X-Amz-Checksum-Mode", "ENABLED"); w.Header().Get("X-Amz-Checksum-"+algorithm) != want {
				t.Errorf("%s %s: %v", method, algorithm, w.Header())
			}
		}
		if w, _ := ask(s, "GET", "/images/x", ""); w.Header().Get("X-Amz-Checksum-"+algorithm) != "" {
			t.Errorf("%s returned without a request", algorithm)
		}
		if w, _ := ask(s, "GET", "/images/x", "", "X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=0-1"); w.Header().Get("X-Amz-Checksum-"+algorithm) != "" {
			t.Errorf("%s of all, with a range", algorithm)
		}
	}
}

// TestChecksumTrailer sends the checksum after the body, in unsigned chunks.
func TestChecksumTrailer(t *testing.T) {
	s := server(t, s3.Options{})
	send := func(trailer string) (string, string) {
		w, code := ask(s, "PUT", "/images/x", "4\r\nbody\r\n0\r\n"+trailer+"\r\n\r\n", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"X-Amz-Decoded-Content-Length", "4", "X-Amz-Trailer", "x-amz-checksum-crc64nvme", "Content-Encoding", "aws-chunked")
		return w.Header().Get("X-Amz-Checksum-Crc64nvme"), code
	}
	if sum, code := send("x-amz-checksum-crc64nvme:" + crc64Of("body")); sum != crc64Of("body") {
		t.Errorf("%q %s", sum, code)
	}
	if w, _ := ask(s, "GET", "/images/x", ""); w.Body.String() != "body" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	for trailer, want := range map[string]string{"x-amz-checksum-crc64nvme:" + crc64Of("b0dy"): "BadDigest", "x-amz-checksum-crc32:" + crc32Of("body"): "InvalidRequest", "": "InvalidRequest"} {
		if _, code := send(trailer); code != want {
			t.Errorf("%s: %s, want %s", trailer, code, want)
		}
	}
}

// TestChecksumOfParts completes uploads with full-object and composite checksums.
func TestChecksumOfParts(t *testing.T) {
	texts := []string{"first part", "second part", "third"}
	all := strings.Join(texts, "")
	type header = []string
	for name, c := range map[string]struct {
		begin, complete header
		ofPart          func(string) (string, string)
		inXML           string
		want, kind      string // want "" is a refusal, with its code in kind
		with            string
	}{
		"none":                   {want: "-", with: "Crc32"},
		"full":                   {begin: header{"X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT"}, want: crc32Of(all), kind: "FULL_OBJECT", with: "Crc32"},
		"full, at the end":       {complete: header{"X-Amz-Checksum-Crc32", crc32Of(all), "X-Amz-Checksum-Type", "FULL_OBJECT"}, want: crc32Of(all), kind: "FULL_OBJECT", with: "Crc32"},
		"full, no type":          {complete: header{"X-Amz-Checksum-Crc32", crc32Of(all)}, want: crc32Of(all), kind: "FULL_OBJECT", with: "Crc32"},
		"crc64":                  {begin: header{"X-Amz-Checksum-Algorithm", "CRC64NVME"}, complete: header{"X-Amz-Checksum-Crc64nvme", crc64Of(all)}, want: crc64Of(all), kind: "FULL_OBJECT", with: "Crc64nvme"},
		"composite":              {begin: header{"X-Amz-Checksum-Algorithm", "SHA256"}, ofPart: func(s string) (string, string) { return "X-Amz-Checksum-Sha256", sha256Of(s) }, inXML: "ChecksumSHA256", want: sha256Of(texts...), kind: "COMPOSITE", with: "Sha256"},
		"composite, at the end":  {complete: header{"X-Amz-Checksum-Sha256", sha256Of(texts...)}, want: sha256Of(texts...), kind: "COMPOSITE", with: "Sha256"},
		"composite, no number":   {begin: header{"X-Amz-Checksum-Algorithm", "SHA256"}, complete: header{"X-Amz-Checksum-Sha256", strings.TrimSuffix(sha256Of(texts...), "-3")}, want: sha256Of(texts...), kind: "COMPOSITE", with: "Sha256"},
		"size":                   {complete: header{"X-Amz-Mp-Object-Size", fmt.Sprint(len(all))}, want: "-", with: "Crc32"},
		"wrong":                  {complete: header{"X-Amz-Checksum-Crc32", crc32Of("other"), "X-Amz-Checksum-Type", "FULL_OBJECT"}, kind: "BadDigest"},
		"wrong size":             {complete: header{"X-Amz-Mp-Object-Size", "3"}, kind: "InvalidRequest"},
		"full of SHA":            {complete: header{"X-Amz-Checksum-Sha256", sha256Of(all), "X-Amz-Checksum-Type", "FULL_OBJECT"}, kind: "InvalidRequest"},
		"another type":           {begin: header{"X-Amz-Checksum-Algorithm", "CRC32"}, complete: header{"X-Amz-Checksum-Type", "FULL_OBJECT"}, kind: "InvalidRequest"},
		"another algorithm":      {begin: header{"X-Amz-Checksum-Algorithm", "CRC32"}, complete: header{"X-Amz-Checksum-Crc32c", "AAAAAA=="}, kind: "InvalidRequest"},
		"another part's, in XML": {begin: header{"X-Amz-Checksum-Algorithm", "SHA256"}, ofPart: func(s string) (string, string) { return "X-Amz-Checksum-Sha256", sha256Of(s) }, inXML: "ChecksumSHA1", kind: "InvalidPart"},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, s3.Options{MinPart: 1})
			at, list := begin(t, s, "/images/x", c.begin...), ""
			for i, text := range texts {
				var h header
				sum := ""
				if c.ofPart != nil {
					var name string
					name, sum = c.ofPart(text)
					h = header{name, sum}
				}
				w := put(t, s, fmt.Sprintf("%s&partNumber=%d", at, i+1), text, h...)
				if len(h) > 0 && w.Header().Get(h[0]) != sum {
					t.Errorf("part: %v", w.Header())
				}
				list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", i+1, w.Header().Get("Etag"))
				if c.inXML != "" {
					list += "<" + c.inXML + ">" + sum + "</" + c.inXML + ">"
				}
				list += "</Part>"
			}
			w, code := ask(s, "POST", at, "<CompleteMultipartUpload>"+list+"</CompleteMultipartUpload>", c.complete...)
			if c.want == "" {
				if code != c.kind {
					t.Errorf("%d %s, want %s", w.Code, code, c.kind)
				}
				return
			}
			got, _ := ask(s, "HEAD", "/images/x", "", "X-Amz-Checksum-Mode", "ENABLED")
			want := strings.Trim(c.want, "-")
			if w.Code != 200 || got.Header().Get("X-Amz-Checksum-"+c.with) != want || got.Header().Get("X-Amz-Checksum-Type") != c.kind {
				t.Errorf("%d %s: %v", w.Code, code, got.Header())
			}
			if tell := "<Checksum" + strings.ToUpper(c.with) + ">" + want + "</"; want != "" && !strings.Contains(w.Body.String(), tell) {
				t.Errorf("%s, want %s", w.Body, tell)
			}
		})
	}
}
