package awskms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/awskms"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

const (
	secret  = "secret-of-the-test/AKIA"
	session = "session-of-the-test"
)

// fast retries without waiting.
var fast = awskms.Retry{Attempts: 2, Base: time.Millisecond, Max: time.Millisecond}

func client(t *testing.T, endpoint, arn string) *awskms.Client {
	t.Helper()
	c, err := awskms.New(awskms.Options{Key: arn, Endpoint: endpoint, Retry: fast,
		Credentials: awskms.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: []byte(secret), SessionToken: []byte(session)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// admin calls an operation that the client lacks.
func admin(t *testing.T, endpoint, op, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequest("POST", endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService."+op)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", op, body, res.StatusCode, text)
	}
	var out map[string]any
	json.Unmarshal(text, &out)
	return out
}

// newKey creates a key and returns its ARN.
func newKey(t *testing.T, endpoint, more string) string {
	t.Helper()
	return admin(t, endpoint, "CreateKey", "{"+more+"}")["KeyMetadata"].(map[string]any)["Arn"].(string)
}

var plaintext = []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func TestKMS(t *testing.T) {
	endpoint := need.KMS(t)
	arn := newKey(t, endpoint, "")
	c := client(t, endpoint, arn)
	wdek, err := c.Wrap(t.Context(), plaintext)
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.Unwrap(t.Context(), wdek)
	if err != nil || !bytes.Equal(back.Plaintext, plaintext) || back.Rewrapped != "" {
		t.Fatalf("%v, %v", back, err)
	}
	// Another client gets the same bytes.
	if got := admin(t, endpoint, "Decrypt", `{"CiphertextBlob":"`+wdek+`"}`)["Plaintext"]; got != string(plaintext) {
		t.Errorf("decrypts %v", got)
	}
	renewed, err := c.Rewrap(t.Context(), wdek)
	if err != nil || renewed == wdek {
		t.Fatalf("%q, %v", renewed, err)
	}
	if back, err := c.Unwrap(t.Context(), renewed); err != nil || !bytes.Equal(back.Plaintext, plaintext) {
		t.Errorf("rewrapped: %v", err)
	}

	other := newKey(t, endpoint, "")
	signs := newKey(t, endpoint, `"KeyUsage":"SIGN_VERIFY","CustomerMasterKeySpec":"ECC_NIST_P256"`)
	flip := []byte(wdek)
	flip[len(flip)-10] ^= 1
	wrapped := func(arn string) error {
		_, err := client(t, endpoint, arn).Wrap(t.Context(), plaintext)
		return err
	}
	_, errOther := client(t, endpoint, other).Unwrap(t.Context(), wdek)
	_, errFlip := c.Unwrap(t.Context(), string(flip))
	_, errOtherRewrap := client(t, endpoint, other).Rewrap(t.Context(), string(flip))
	disabled := newKey(t, endpoint, "")
	admin(t, endpoint, "DisableKey", `{"KeyId":"`+disabled+`"}`)
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"no such key", wrapped(arn[:len(arn)-4] + "0000"), wrap.ErrNotFound},
		{"disabled", wrapped(disabled), wrap.ErrKeyState},
		{"a key that signs", wrapped(signs), wrap.ErrKeyState},
		{"another key", errOther, wrap.ErrWDEK},
		{"damaged", errFlip, wrap.ErrWDEK},
		{"damaged, rewrapped", errOtherRewrap, wrap.ErrWDEK},
	} {
		if !errors.Is(c.err, c.want) || !rest.Refused(c.err) || rest.Temporary(c.err) || rest.Hint(c.err) == "" {
			t.Errorf("%s: %v, refused %v, hint %q; want %v", c.name, c.err, rest.Refused(c.err), rest.Hint(c.err), c.want)
		}
	}
}

// TestRotation checks that a rotated key unwraps with old key material, and that ReEncrypt uses the new material. It
// also checks the errors for key states and missing permissions.
func TestRotation(t *testing.T) {
	endpoint := need.KMS(t)
	arn := newKey(t, endpoint, "")
	key := `{"KeyId":"` + arn + `"}`
	c := client(t, endpoint, arn)
	// material returns the number of the key material, which follows the name of the key in the wrapped keys of
	// local-kms.
	material := func(wdek string) byte {
		t.Helper()
		b, err := base64.StdEncoding.DecodeString(wdek)
		if err != nil || len(b) < 2 || len(b) < int(b[0])+5 {
			t.Fatalf("%q: %v", wdek, err)
		}
		return b[b[0]+1]
	}
	opens := func(wdek string) {
		t.Helper()
		if back, err := c.Unwrap(t.Context(), wdek); err != nil || !bytes.Equal(back.Plaintext, plaintext) {
			t.Errorf("%v, %v", back, err)
		}
	}
	wdek, err := c.Wrap(t.Context(), plaintext)
	if err != nil || material(wdek) != 0 {
		t.Fatalf("%q, %v", wdek, err)
	}
	admin(t, endpoint, "RotateKeyOnDemand", key)
	opens(wdek)
	renewed, err := c.Rewrap(t.Context(), wdek)
	if err != nil || material(renewed) != 1 {
		t.Fatalf("material %d, %v", material(renewed), err)
	}
	opens(renewed)
	if again, err := c.Wrap(t.Context(), plaintext); err != nil || material(again) != 1 {
		t.Errorf("%q, %v", again, err)
	}

	each := func(name string, want error, hint string, c *awskms.Client, ops ...string) {
		t.Helper()
		_, err := c.Wrap(t.Context(), plaintext)
		_, err2 := c.Unwrap(t.Context(), wdek)
		_, err3 := c.Rewrap(t.Context(), wdek)
		for op, err := range map[string]error{"wrap": err, "unwrap": err2, "rewrap": err3} {
			if !slices.Contains(ops, op) {
				if err != nil {
					t.Errorf("%s: %s: %v", name, op, err)
				}
				continue
			}
			if !errors.Is(err, want) || !rest.Refused(err) || rest.Temporary(err) || !strings.Contains(rest.Hint(err), hint) {
				t.Errorf("%s: %s: %v, refused %v, hint %q; want %v", name, op, err, rest.Refused(err), rest.Hint(err), want)
			}
		}
	}
	all := []string{"wrap", "unwrap", "rewrap"}
	admin(t, endpoint, "DisableKey", key)
	each("disabled", wrap.ErrKeyState, "describe-key", c, all...)
	admin(t, endpoint, "EnableKey", key)
	each("enabled", nil, "", c)
	builder, err := awskms.New(awskms.Options{Key: arn, Endpoint: endpoint, Retry: fast, Credentials: awskms.Credentials{AccessKeyID: need.KMSEncryptsOnly, SecretAccessKey: []byte(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	each("may only encrypt", wrap.ErrDenied, "the identity needs kms:", builder, "unwrap", "rewrap")
	admin(t, endpoint, "ScheduleKeyDeletion", `{"KeyId":"`+arn+`","PendingWindowInDays":7}`)
	each("to be deleted", wrap.ErrKeyState, "describe-key", c, all...)
	admin(t, endpoint, "CancelKeyDeletion", key)
	admin(t, endpoint, "EnableKey", key) // AWS disabled the key
	each("not to be deleted", nil, "", c)

	// An alias can stand for another key later, so it is not accepted as a name.
	admin(t, endpoint, "CreateAlias", `{"AliasName":"alias/images","TargetKeyId":"`+arn+`"}`)
	for _, name := range []string{"alias/images", arn[:strings.Index(arn, "key/")] + "alias/images", arn[strings.Index(arn, "key/")+4:]} {
		if _, err := awskms.New(awskms.Options{Key: name, Credentials: awskms.Credentials{AccessKeyID: "a", SecretAccessKey: []byte("b")}}); !errors.Is(err, kmsuri.ErrURI) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const arn = "arn:aws:kms:eu-central-1:111122223333:key/88d649f8-41b8-4426-b52b-45c88953d5b8"

// TestAnswers checks errors of the service and invalid responses.
func TestAnswers(t *testing.T) {
	var status int
	var body string
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-Requestid", "request-1")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	defer fake.Close()
	c := client(t, fake.URL, arn)
	for _, x := range []struct {
		status    int
		body      string
		want      error
		refused   bool
		temporary bool
	}{
		{400, `{"__type":"AccessDeniedException","Message":"no ` + secret + ` ` + session + `"}`, wrap.ErrDenied, true, false},
		{400, `{"__type":"com.amazonaws.kms#UnrecognizedClientException","message":"The security token is invalid"}`, wrap.ErrAuth, true, false},
		{400, `{"__type":"ExpiredTokenException"}`, wrap.ErrAuth, true, false},
		{403, `{"__type":"InvalidSignatureException"}`, wrap.ErrAuth, true, false},
		{403, ``, wrap.ErrDenied, true, false},
		{404, ``, wrap.ErrNotFound, true, false},
		{400, `{"__type":"IncorrectKeyException"}`, wrap.ErrWDEK, true, false},
		{400, `{"__type":"KMSInvalidStateException"}`, wrap.ErrKeyState, true, false},
		{400, `{"__type":"Whatever"}`, wrap.ErrRefused, true, false},
		{400, `{"__type":"ThrottlingException"}`, wrap.ErrUnavailable, false, true},
		{500, `{"__type":"KMSInternalException"}`, wrap.ErrUnavailable, false, true},
		{503, `<html>`, wrap.ErrUnavailable, false, true},
		{200, `<html>`, wrap.ErrUnavailable, false, true},
		{200, `{}`, wrap.ErrUnavailable, false, true},
		{200, `{"CiphertextBlob":"x y","Plaintext":"x y"}`, wrap.ErrUnavailable, false, true},
		{200, `{"CiphertextBlob":1,"Plaintext":1}`, wrap.ErrUnavailable, false, true},
	} {
		status, body = x.status, x.body
		_, err := c.Wrap(t.Context(), plaintext)
		_, err2 := c.Unwrap(t.Context(), "AAAA")
		_, err3 := c.Rewrap(t.Context(), "AAAA")
		for _, err := range []error{err, err2, err3} {
			if !errors.As(err, new(*awskms.Error)) || !errors.Is(err, x.want) || rest.Refused(err) != x.refused || rest.Temporary(err) != x.temporary {
				t.Errorf("%d %s: %v, refused %v, temporary %v; want %v", x.status, x.body, err, rest.Refused(err), rest.Temporary(err), x.want)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), session)) {
				t.Errorf("a secret in %v", err)
			}
		}
	}
	fake.Close()
	if _, err := c.Wrap(t.Context(), plaintext); !errors.Is(err, wrap.ErrUnavailable) || rest.Refused(err) || !rest.Temporary(err) {
		t.Errorf("no service: %v", err)
	}
	for _, bad := range [][]byte{nil, []byte("a\nb"), []byte("x"), bytes.Repeat([]byte("AAAA"), 1400)} {
		if _, err := c.Wrap(t.Context(), bad); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	for _, wdek := range []string{"", "x y", `AA"A`, strings.Repeat("AAAA", 5000)} {
		if _, err := c.Unwrap(t.Context(), wdek); !errors.Is(err, wrap.ErrWDEK) {
			t.Errorf("%.20q: %v", wdek, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c) + fmt.Sprintf("%v %#v", awskms.Credentials{SecretAccessKey: []byte(secret)}, awskms.Credentials{SecretAccessKey: []byte(secret)}); strings.Contains(s, secret) {
		t.Errorf("a secret in %s", s)
	}
}

func TestNew(t *testing.T) {
	good := awskms.Credentials{AccessKeyID: "a", SecretAccessKey: []byte("b")}
	for name, o := range map[string]awskms.Options{
		"no credentials": {Key: arn},
		"no ARN":         {Key: "alias/x", Credentials: good},
		"no endpoint":    {Key: strings.Replace(arn, "arn:aws:", "arn:aws-iso:", 1), Credentials: good},
		"no TLS":         {Key: arn, Credentials: good, Endpoint: "http://kms.example"},
	} {
		if _, err := awskms.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestSignature compares the signature of a request with the one by botocore, the library of the AWS CLI.
func TestSignature(t *testing.T) {
	need.Judge(t, "aws", "python3")
	var got *http.Request
	var body []byte
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(t.Context())
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"CiphertextBlob":"AAAA"}`)
	}))
	defer fake.Close()
	if _, err := client(t, fake.URL, arn).Wrap(t.Context(), plaintext); err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"} {
		if headers[name] = got.Header.Get(name); headers[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	in, _ := json.Marshal(map[string]any{"url": fake.URL + "/", "headers": headers, "body": string(body), "secret": secret, "session": session})
	cmd := exec.Command("python3", "-c", `
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
i = json.load(sys.stdin)
r = AWSRequest('POST', i['url'], data=i['body'].encode(), headers=i['headers'])
a = SigV4Auth(Credentials('AKIATEST', i['secret'], i['session']), 'kms', 'eu-central-1')
r.context['timestamp'] = i['headers']['X-Amz-Date']
s = a.signature(a.string_to_sign(r, a.canonical_request(r)), r)
print('AWS4-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s' % (a.scope(r), a.signed_headers(a.headers_to_sign(r)), s))
`)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := strings.TrimSpace(string(out)); got.Header.Get("Authorization") != want {
		t.Errorf("signed\n%s\nbotocore\n%s", got.Header.Get("Authorization"), want)
	}
}
