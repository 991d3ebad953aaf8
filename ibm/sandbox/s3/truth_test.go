package s3_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

// These tests verify the statements of docs/sandbox.md about the real service.

const taggingXML = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"

func put(t testing.TB, s http.Handler, url, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w, code := ask(s, "PUT", url, body, header...)
	if w.Code != 200 {
		t.Fatalf("PUT %s: %d %s", url, w.Code, code)
	}
	return w
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestSubresourceNeverObject sends each method with each sub-resource, and with unknown ones, to an object and to an
// empty bucket. Both must remain unchanged, and no answer may contain them.
func TestSubresourceNeverObject(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.CreateBucket("alice", "empty", ""); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/images/x", "precious")
	for _, sub := range []string{
		"tagging", "acl", "lifecycle", "versioning", "cors", "policy", "website", "retention", "legal-hold", "legalHold", "torrent", "encryption", "logging",
		"notification", "object-lock", "replication", "requestPayment", "publicAccessBlock", "restore", "select", "attributes", "versions", "protection",
		"inventory&id=1", "uploads", "uploadId=none", "uploadId=none&partNumber=1", "partNumber=1", "delete", "location", "tagging&acl", "tagging=1", "what-is-new", "new=", "=",
	} {
		for _, method := range []string{"PUT", "POST", "DELETE", "GET", "HEAD"} {
			if sub == "partNumber=1" && (method == "GET" || method == "HEAD") {
				continue // the first part of the object
			}
			for _, at := range []string{"/images/x", "/empty"} {
				w, code := ask(s, method, at+"?"+sub, taggingXML, "Content-MD5", md5Of(taggingXML))
				if code == "" && w.Code >= 300 && method != "HEAD" {
					t.Errorf("%s %s?%s: %d without a code", method, at, sub, w.Code)
				}
				if method == "GET" && (strings.Contains(w.Body.String(), "precious") || strings.Contains(w.Body.String(), "<ListBucketResult")) {
					t.Errorf("%s %s?%s answers with the object or the bucket", method, at, sub)
				}
				if strings.HasPrefix(sub, "what") && w.Code != 501 {
					t.Errorf("%s %s?%s: %d %s, want 501", method, at, sub, w.Code, code)
				}
			}
		}
		if w, _ := ask(s, "GET", "/images/x?x-id=GetObject&some=thing", ""); w.Body.String() != "precious" {
			t.Fatalf("after %s the object is %d %q", sub, w.Code, w.Body)
		}
		if w, _ := ask(s, "HEAD", "/empty", ""); w.Code != 200 {
			t.Fatalf("after %s the bucket is missing", sub)
		}
	}
}

// TestObjectTagging puts, reads and deletes the tags of an object.
func TestObjectTagging(t *testing.T) {
	s := server(t, s3.Options{})
	put(t, s, "/images/x", "precious", "X-Amz-Tagging", "z=1&a=%20two")
	tags := func() string {
		w, _ := ask(s, "GET", "/images/x?tagging", "")
		_, after, _ := strings.Cut(w.Body.String(), "<TagSet>")
		return after
	}
	const first = "<Tag><Key>a</Key><Value> two</Value></Tag><Tag><Key>z</Key><Value>1</Value></Tag></TagSet></Tagging>"
	if got := tags(); got != first {
		t.Errorf("tags of the header: %s", got)
	}
	if w, _ := ask(s, "HEAD", "/images/x", ""); w.Header().Get("X-Amz-Tagging-Count") != "2" {
		t.Errorf("count: %v", w.Header())
	}
	for _, bad := range []string{
		"<Tagging", "<Other/>", "<Tagging><TagSet><Tag><Key></Key></Tag></TagSet></Tagging>", "<Tagging><TagSet><Tag><Key>a;b</Key></Tag></TagSet></Tagging>",
		"<Tagging><TagSet>" + strings.Repeat("<Tag><Key>a</Key></Tag>", 2) + "</TagSet></Tagging>", "<Tagging>" + strings.Repeat(" ", 1<<20) + "</Tagging>",
	} {
		if w, code := ask(s, "PUT", "/images/x?tagging", bad); w.Code != 400 || code == "" {
			t.Errorf("%.60s: %d %s", bad, w.Code, code)
		}
	}
	if got := tags(); got != first {
		t.Errorf("refused tags stored: %s", got)
	}
	put(t, s, "/images/x?tagging", taggingXML)
	if got := tags(); got != "<Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>" {
		t.Errorf("tags: %s", got)
	}
	if w, _ := ask(s, "DELETE", "/images/x?tagging", ""); w.Code != 204 || tags() != "</TagSet></Tagging>" {
		t.Errorf("deleted: %d %s", w.Code, tags())
	}
	if _, code := ask(s, "PUT", "/images/none?tagging", taggingXML); code != "NoSuchKey" {
		t.Errorf("tags of a missing object: %s", code)
	}
}

// TestBucketSettings tests CORS, lifecycle, ACL and versioning of a bucket.
func TestBucketSettings(t *testing.T) {
	s := server(t, s3.Options{})
	for sub, text := range map[string]string{
		"cors":      "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
		"lifecycle": "<LifecycleConfiguration><Rule><ID>a</ID></Rule></LifecycleConfiguration>",
	} {
		if w, code := ask(s, "GET", "/images?"+sub, ""); w.Code != 404 || !strings.HasPrefix(code, "NoSuch") {
			t.Errorf("%s of a fresh bucket: %d %s", sub, w.Code, code)
		}
		if _, code := ask(s, "PUT", "/images?"+sub, text); code != "InvalidRequest" {
			t.Errorf("%s without a checksum: %s", sub, code)
		}
		if _, code := ask(s, "PUT", "/images?"+sub, taggingXML, "Content-MD5", md5Of(taggingXML)); code != "MalformedXML" {
			t.Errorf("%s of another kind: %s", sub, code)
		}
		put(t, s, "/images?"+sub, text, "Content-MD5", md5Of(text))
		if w, _ := ask(s, "GET", "/images?"+sub, ""); w.Body.String() != text {
			t.Errorf("%s: %s", sub, w.Body)
		}
		if w, code := ask(s, "DELETE", "/images?"+sub, ""); w.Code != 204 {
			t.Errorf("%s deleted: %s", sub, code)
		}
	}
	if w, _ := ask(s, "GET", "/images?versioning", ""); !strings.Contains(w.Body.String(), "<VersioningConfiguration") || strings.Contains(w.Body.String(), "Enabled") {
		t.Errorf("versioning: %s", w.Body)
	}
	acl, _ := ask(s, "GET", "/images?acl", "")
	if n := strings.Count(acl.Body.String(), "<Permission>FULL_CONTROL</Permission>"); n != 1 || !strings.Contains(acl.Body.String(), "<ID>alice</ID>") {
		t.Errorf("acl: %s", acl.Body)
	}
	put(t, s, "/images?acl", acl.Body.String())
	put(t, s, "/images?acl", "", "X-Amz-Acl", "private")
	if w, code := ask(s, "PUT", "/images?acl", strings.Replace(acl.Body.String(), "<ID>alice</ID><DisplayName>alice</DisplayName></Grantee>", "<ID>bob</ID></Grantee>", 1)); w.Code != 501 {
		t.Errorf("access for another: %d %s", w.Code, code)
	}
}

// TestIfNoneMatchOnPut checks that a conditional PUT does not replace an object.
func TestIfNoneMatchOnPut(t *testing.T) {
	s := server(t, s3.Options{MinPart: 1})
	put(t, s, "/images/new", "first", "If-None-Match", "*")
	w, code := ask(s, "PUT", "/images/new", "second", "If-None-Match", "*")
	if w.Code != 412 || code != "PreconditionFailed" {
		t.Errorf("over an object: %d %s", w.Code, code)
	}
	begun := begin(t, s, "/images/new")
	part := put(t, s, begun+"&partNumber=1", "second")
	body := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", part.Header().Get("Etag"))
	if w, code := ask(s, "POST", begun, body, "If-None-Match", "*"); w.Code != 412 {
		t.Errorf("by parts: %d %s", w.Code, code)
	}
	if w, _ := ask(s, "GET", "/images/new", ""); w.Body.String() != "first" {
		t.Errorf("it is %q", w.Body)
	}
}

// begin starts a multipart upload, and returns its address.
func begin(t testing.TB, s http.Handler, at string, header ...string) string {
	t.Helper()
	w, _ := ask(s, "POST", at+"?uploads", "", header...)
	var begun struct{ UploadId string }
	if err := xml.Unmarshal(w.Body.Bytes(), &begun); err != nil || begun.UploadId == "" {
		t.Fatal(w.Body)
	}
	return at + "?uploadId=" + begun.UploadId
}

// TestConditions tests all conditions with all methods that support them.
func TestConditions(t *testing.T) {
	s := server(t, s3.Options{})
	etag := put(t, s, "/images/x", "text").Header().Get("Etag")
	const before, at, after = "Wed, 04 Mar 2026 05:06:06 GMT", "Wed, 04 Mar 2026 05:06:07 GMT", "Wed, 04 Mar 2026 05:06:08 GMT"
	for _, c := range []struct {
		name, value    string
		get, put, copy int
	}{
		{"If-Match", etag, 200, 200, 200},
		{"If-Match", "*", 200, 200, 200},
		{"If-Match", `"other", ` + etag, 200, 200, 200},
		{"If-Match", `"other"`, 412, 412, 412},
		{"If-None-Match", etag, 304, 412, 412},
		{"If-None-Match", "W/" + etag, 304, 412, 412},
		{"If-None-Match", "*", 304, 412, 412},
		{"If-None-Match", `"other"`, 200, 200, 200},
		{"If-Modified-Since", before, 200, 200, 200},
		{"If-Modified-Since", at, 304, 200, 412},
		{"If-Modified-Since", "yesterday", 200, 200, 200},
		{"If-Unmodified-Since", at, 200, 200, 200},
		{"If-Unmodified-Since", after, 200, 200, 200},
		{"If-Unmodified-Since", before, 412, 412, 412},
	} {
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			want := c.get
			if method == "PUT" {
				want = c.put
			}
			if w, _ := ask(s, method, "/images/x", "text", c.name, c.value); w.Code != want {
				t.Errorf("%s with %s %s: %d, want %d", method, c.name, c.value, w.Code, want)
			}
		}
		if w, _ := ask(s, "PUT", "/images/copy", "", "X-Amz-Copy-Source", "images/x", "X-Amz-Copy-Source-"+c.name, c.value); w.Code != c.copy {
			t.Errorf("copy with %s %s: %d, want %d", c.name, c.value, w.Code, c.copy)
		}
	}
	if w, code := ask(s, "PUT", "/images/none", "text", "If-Match", "*"); w.Code != 412 {
		t.Errorf("If-Match of a missing object: %d %s", w.Code, code)
	}
}

// TestServiceInstance checks that creating and listing buckets requires the CRN or GUID of the instance.
func TestServiceInstance(t *testing.T) {
	s := server(t, s3.Options{Instance: instance})
	const crn = "crn:v1:bluemix:public:cloud-object-storage:global:a/acct:" + instance + "::"
	for id, want := range map[string]string{
		"": "InvalidRequest", "any-text": "InvalidArgument", "crn": "InvalidArgument", "crn:v1:instance": "InvalidArgument",
		strings.Replace(crn, "cloud-object-storage", "kms", 1): "InvalidArgument", strings.Replace(crn, instance, "x", 1): "InvalidArgument",
		"00000000-0000-0000-0000-000000000000": "AccessDenied", instance: "", crn: "", strings.ToUpper(instance): "",
	} {
		if _, code := ask(s, "GET", "/", "", "Ibm-Service-Instance-Id", id); code != want {
			t.Errorf("list with %q: %q, want %q", id, code, want)
		}
		if _, code := ask(s, "PUT", "/fresh", "", "Ibm-Service-Instance-Id", id); code != want {
			t.Errorf("create with %q: %q, want %q", id, code, want)
		}
		ask(s, "DELETE", "/fresh", "")
	}
}

// TestLocationConstraint accepts the codes of IBM's list.
func TestLocationConstraint(t *testing.T) {
	s := server(t, s3.Options{})
	for code, want := range map[string]string{
		"us-south-standard": "us-south-standard", "eu-de-smart": "eu-de-smart", "ams03-cold": "ams03-cold", "us-vault": "us-vault", "": "us-south-standard",
		"us-south":        "us-south-standard", // sent by the aws command
		"xx-nowhere-blah": "", "us-south-flex": "", "us-south-": "", "standard": "", "-standard": "", "EU": "", "us-east-1": "", "us-south-standard-standard": "",
	} {
		w, got := ask(s, "PUT", "/fresh", "<CreateBucketConfiguration><LocationConstraint>"+code+"</LocationConstraint></CreateBucketConfiguration>", "Ibm-Service-Instance-Id", instance)
		if want == "" {
			if w.Code != 400 || got != "InvalidLocationConstraint" {
				t.Errorf("%q: %d %s", code, w.Code, got)
			}
			continue
		}
		if w, _ := ask(s, "GET", "/fresh?location", ""); !strings.Contains(w.Body.String(), ">"+want+"<") {
			t.Errorf("%q: %s", code, w.Body)
		}
		ask(s, "DELETE", "/fresh", "")
	}
	w, code := ask(s, "PUT", "http://s3.eu-de.cloud-object-storage.appdomain.cloud/fresh", "<CreateBucketConfiguration><LocationConstraint>us-south-standard</LocationConstraint></CreateBucketConfiguration>",
		"Ibm-Service-Instance-Id", instance)
	if code != "InvalidLocationConstraint" {
		t.Errorf("a location of another endpoint: %d %s", w.Code, code)
	}
}

// TestBucketNames refuses invalid bucket names.
func TestBucketNames(t *testing.T) {
	s := server(t, s3.Options{})
	for name, good := range map[string]bool{
		"a..b": false, "192.168.1.1": false, "Upper": false, "ab": false, strings.Repeat("a", 64): false, "a-.b": false, "a.-b": false, "-ab": false, "ab-": false,
		"a--b": false, "under_score": false, "cosv1-a": false, "account-a": false, ".ab": false,
		"abc": true, strings.Repeat("a", 63): true, "a.b.c": true, "1.2.3": true, "a-b-c": true, "192-168-1-1": true,
	} {
		w, code := ask(s, "PUT", "/"+name, "", "Ibm-Service-Instance-Id", instance)
		if good && w.Code != 200 || !good && code != "InvalidBucketName" {
			t.Errorf("%s: %d %s", name, w.Code, code)
		}
	}
}

// TestBucketRootKey uses a key service that accepts or refuses a root key.
func TestBucketRootKey(t *testing.T) {
	const key = "crn:v1:bluemix:public:kms:us-south:a/acct:" + instance + ":key:"
	var told []string
	s := server(t, s3.Options{RootKey: func(_ context.Context, crn string) error {
		return map[string]error{key + "good": nil, key + "denied": s3.ErrNotAuthorized}[crn]
	}, Protected: func(bucket, crn string, now bool) {
		told = append(told, fmt.Sprint(bucket, " ", strings.TrimPrefix(crn, key), " ", now))
	}})
	broken := server(t, s3.Options{RootKey: func(context.Context, string) error { return errors.New("no such key") }})
	for _, c := range []struct {
		s         *s3.Server
		key, want string
	}{{s, key + "good", ""}, {s, key + "denied", "ServiceNotAuthorized"}, {broken, key + "none", "InvalidArgument"}, {s, "crn:nonsense", "InvalidArgument"}} {
		if _, code := ask(c.s, "PUT", "/fresh", "", "Ibm-Service-Instance-Id", instance, "Ibm-Sse-Kp-Encryption-Algorithm", "AES256", "Ibm-Sse-Kp-Customer-Root-Key-Crn", c.key); code != c.want {
			t.Errorf("%s: %q, want %q", c.key, code, c.want)
		}
	}
	if w, _ := ask(s, "HEAD", "/fresh", ""); w.Header().Get("Ibm-Sse-Kp-Crk-Id") != key+"good" || w.Header().Get("Ibm-Sse-Kp-Customer-Root-Key-Crn") != key+"good" {
		t.Errorf("the bucket: %v", w.Header())
	}
	ask(s, "DELETE", "/fresh", "")
	if want := []string{"fresh good true", "fresh good false"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestListBucketsExtended lists locations, in pages.
func TestListBucketsExtended(t *testing.T) {
	s := server(t, s3.Options{})
	for name, location := range map[string]string{"a1": "eu-de-cold", "a2": "us-standard", "b1": ""} {
		if err := s.CreateBucket("alice", "bucket-"+name, location); err != nil {
			t.Fatal(err)
		}
	}
	type listed struct {
		IsTruncated bool
		Buckets     struct {
			Bucket []struct{ Name, LocationConstraint string }
		}
	}
	list := func(query string) (l listed) {
		w, _ := ask(s, "GET", "/?"+query, "", "Ibm-Service-Instance-Id", instance)
		if err := xml.Unmarshal(w.Body.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return l
	}
	if all := list(""); len(all.Buckets.Bucket) != 4 || all.Buckets.Bucket[0].LocationConstraint != "" {
		t.Errorf("all: %+v", all)
	}
	got := map[string]string{}
	marker := ""
	for pages := 0; ; pages++ {
		l := list("extended&prefix=bucket-&max-keys=2&marker=" + marker)
		for _, b := range l.Buckets.Bucket {
			got[b.Name], marker = b.LocationConstraint, b.Name
		}
		if !l.IsTruncated {
			if pages != 1 {
				t.Errorf("%d pages before the last", pages)
			}
			break
		}
	}
	if want := map[string]string{"bucket-a1": "eu-de-cold", "bucket-a2": "us-standard", "bucket-b1": "us-south-standard"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestDeleteObjects deletes several objects with one request.
func TestDeleteObjects(t *testing.T) {
	s := server(t, s3.Options{})
	list := func(quiet bool, keys ...string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "<Delete><Quiet>%t</Quiet>", quiet)
		for _, key := range keys {
			fmt.Fprintf(&b, "<Object><Key>%s</Key></Object>", key)
		}
		return b.String() + "</Delete>"
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		put(t, s, "/images/"+key, key)
	}
	send := func(body string, header ...string) (*httptest.ResponseRecorder, string) {
		return ask(s, "POST", "/images?delete", body, header...)
	}
	text := list(false, "a", "none")
	if _, code := send(text); code != "InvalidRequest" {
		t.Errorf("without a checksum: %s", code)
	}
	if _, code := send(text, "Content-MD5", md5Of("other")); code != "BadDigest" {
		t.Errorf("with a wrong checksum: %s", code)
	}
	if w, _ := send(text, "Content-MD5", md5Of(text)); w.Code != 200 || !strings.HasSuffix(w.Body.String(), "<Deleted><Key>a</Key></Deleted><Deleted><Key>none</Key></Deleted></DeleteResult>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	text = list(true, "b")
	if w, _ := send(text, "X-Amz-Checksum-Crc32", crc32Of(text)); w.Code != 200 || strings.Contains(w.Body.String(), "<Key>") {
		t.Errorf("quiet: %d %s", w.Code, w.Body)
	}
	text = "<Delete><Object><Key>c</Key><VersionId>7</VersionId></Object></Delete>"
	if w, _ := send(text, "Content-MD5", md5Of(text)); !strings.Contains(w.Body.String(), "<Code>NoSuchVersion</Code>") {
		t.Errorf("a version: %s", w.Body)
	}
	for name, bad := range map[string]string{"none": list(false), "too many": list(false, make([]string, 1001)...), "no XML": "<Delete"} {
		if _, code := send(bad, "Content-MD5", md5Of(bad)); code != "MalformedXML" {
			t.Errorf("%s: %s", name, code)
		}
	}
	for key, want := range map[string]int{"a": 404, "b": 404, "c": 200, "d": 200} {
		if w, _ := ask(s, "HEAD", "/images/"+key, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", key, w.Code, want)
		}
	}
}

// TestVirtualHost uses host names that contain the bucket.
func TestVirtualHost(t *testing.T) {
	s := server(t, s3.Options{})
	put(t, s, "/images/dir/x", "text")
	for _, host := range []string{
		"images.localhost:9000", "images.127.0.0.1:9000", "IMAGES.localhost", "images.s3.us-south.cloud-object-storage.appdomain.cloud",
		"images.s3.private.us-south.cloud-object-storage.appdomain.cloud", "images.s3.direct.us-south.cloud-object-storage.appdomain.cloud:443",
	} {
		if w, code := ask(s, "GET", "http://"+host+"/dir/x", ""); w.Body.String() != "text" {
			t.Errorf("%s: %d %s", host, w.Code, code)
		}
		if w, _ := ask(s, "GET", "http://"+host+"/?list-type=2", ""); !strings.Contains(w.Body.String(), "<Key>dir/x</Key>") {
			t.Errorf("%s: %s", host, w.Body)
		}
	}
	if _, code := ask(s, "GET", "http://images.s3.eu-de.cloud-object-storage.appdomain.cloud/dir/x", ""); code != "PermanentRedirect" {
		t.Errorf("another region: %s", code)
	}
	for _, host := range []string{"localhost:9000", "127.0.0.1:9000", "[::1]:9000", "elsewhere.example.com"} {
		if w, code := ask(s, "GET", "http://"+host+"/images/dir/x", ""); w.Body.String() != "text" {
			t.Errorf("%s: %d %s", host, w.Code, code)
		}
	}
}
