package rest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap/awskms"
	"github.com/luksimg/luksimg/wrap/keyprotect"
	"github.com/luksimg/luksimg/wrap/vault"
)

const rootKey = "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:a192d603-0b8d-452f-aac3-f9e1f95e7411:key:88d649f8-41b8-4426-b52b-45c88953d5b8"

type word string

func (w word) Token(context.Context) (rest.Token, error) {
	return rest.NewToken(string(w), time.Time{}), nil
}

// clients are all clients that send a credential. Each makes one call to the service at
// url.
var clients = map[string]func(ctx context.Context, url string) error{
	"iam": func(ctx context.Context, url string) error {
		c, err := iam.New(iam.Options{URL: url, APIKey: []byte("secret"), Retry: iam.Retry{Attempts: 1}})
		if err == nil {
			_, err = c.Token(ctx)
		}
		return err
	},
	"cos with a token": func(ctx context.Context, url string) error {
		c, err := cos.New(cos.Options{Endpoint: url, Tokens: word("secret"), Attempts: 1})
		if err == nil {
			_, err = c.Bucket(ctx, "us-south", "images")
		}
		return err
	},
	"cos with HMAC": func(ctx context.Context, url string) error {
		c, err := cos.New(cos.Options{Endpoint: url, HMAC: &cos.HMAC{AccessKeyID: "id", SecretAccessKey: []byte("secret")}, Attempts: 1})
		if err == nil {
			_, err = c.Bucket(ctx, "us-south", "images")
		}
		return err
	},
	"softlayer": func(ctx context.Context, url string) error {
		c, err := softlayer.New(softlayer.Options{Endpoint: url, User: "user", APIKey: "secret"})
		if err == nil {
			_, err = c.Guest(ctx, 1)
		}
		return err
	},
	"vpc": func(ctx context.Context, url string) error {
		c, err := vpc.New(vpc.Options{Endpoint: url, Tokens: word("secret")})
		if err == nil {
			_, err = c.Image(ctx, "x")
		}
		return err
	},
	"audit": func(ctx context.Context, url string) error {
		c, err := audit.NewClient(audit.ClientOptions{Endpoint: url, Tokens: word("secret")})
		if err == nil {
			_, _, err = c.Query(ctx, audit.QueryRequest{})
		}
		return err
	},
	"keyprotect": func(ctx context.Context, url string) error {
		c, err := keyprotect.New(keyprotect.Options{CRN: rootKey, URL: url, Tokens: iam.Static("secret"), Retry: iam.Retry{Attempts: 1}})
		if err == nil {
			_, err = c.Metadata(ctx)
		}
		return err
	},
	"vault": func(ctx context.Context, url string) error {
		c, err := vault.New(vault.Options{Address: url, Key: "transit/images", Token: []byte("secret"), Retry: vault.Retry{Attempts: 1}})
		if err == nil {
			_, err = c.Unwrap(ctx, "vault:v1:AAAA")
		}
		return err
	},
	"awskms": func(ctx context.Context, url string) error {
		c, err := awskms.New(awskms.Options{Endpoint: url, Key: "arn:aws:kms:eu-central-1:111122223333:key/1",
			Credentials: awskms.Credentials{AccessKeyID: "a", SecretAccessKey: []byte("secret")}, Retry: awskms.Retry{Attempts: 1}})
		if err == nil {
			_, err = c.Unwrap(ctx, "AAAA")
		}
		return err
	},
}

// TestKeyBody checks that clients of key and identity services limit the answer to the size such a
// service can need.
func TestKeyBody(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"errors":["` + strings.Repeat("x", rest.MaxKeyBody) + `"]}`))
	}))
	defer s.Close()
	for _, name := range []string{"iam", "keyprotect", "vault", "awskms"} {
		asked = 0
		err := clients[name](t.Context(), s.URL)
		if !errors.Is(err, rest.ErrAnswer) || !strings.Contains(err.Error(), "more than 1048576 bytes") || asked != 1 {
			t.Errorf("%s: %.300v, asked %d times", name, err, asked)
		}
	}
}

// TestClearText checks that no client sends a credential in clear text to another machine, whether
// configured to or redirected.
func TestClearText(t *testing.T) {
	var asked, redirected atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected.Add(1) }))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	for name, call := range clients {
		for _, url := range []string{"http://example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://[fe80::1]:80", "ftp://localhost", "https://u:p@example.com"} {
			err := call(t.Context(), url)
			if !errors.Is(err, rest.ErrAddress) || strings.Contains(err.Error(), "u:p") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s to %s: %v", name, url, err)
			}
		}
		before := asked.Load()
		if err := call(t.Context(), first.URL); err == nil || errors.Is(err, rest.ErrAddress) {
			t.Errorf("%s to the loopback address, with a redirect: %v", name, err)
		}
		if asked.Load() == before {
			t.Errorf("%s: no request to the loopback address", name)
		}
	}
	if n := redirected.Load(); n > 0 {
		t.Errorf("%d redirects followed", n)
	}
}

// TestHTTPClient checks that the client also checks later requests.
func TestHTTPClient(t *testing.T) {
	sent := false
	c := rest.HTTPClient(&http.Client{Transport: sender(func(*http.Request) (*http.Response, error) {
		sent = true
		return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
	})})
	if _, err := c.Post("http://example.com", "", strings.NewReader("secret")); !errors.Is(err, rest.ErrAddress) || sent {
		t.Errorf("%v, sent: %v", err, sent)
	}
	if res, err := c.Get("https://example.com"); err != nil || !sent {
		t.Error(err)
	} else {
		res.Body.Close()
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://iam.cloud.ibm.com", "https://x:8443/path", "http://127.0.0.1:1234", "http://localhost", "http://[::1]:5"} {
		if got, err := rest.CheckURL(good + "/"); err != nil || got != good {
			t.Errorf("CheckURL(%s): got %s, %v", good, got, err)
		}
	}
	for bad, want := range map[string]string{
		"http://iam.cloud.ibm.com": "address not allowed: http://iam.cloud.ibm.com: want https", "https://u:secret@x": "https://x has a user",
		"https://x?secret": "https://x has a query", "https://x#secret": "https://x has a fragment", "secret": "it lacks https:// or a host",
		"https://secret\x00": "invalid URL syntax",
	} {
		if _, err := rest.CheckURL(bad); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "iam.cloud.ibm.com", "http://iam.cloud.ibm.com", "http://127.0.0.1.evil.com", "https://u:p@x", "https://x?q", "https://x#f", "ftp://x", "https:x", "https://", "http://10.0.0.1", "://"} {
		if got, err := rest.CheckURL(bad); !errors.Is(err, rest.ErrAddress) {
			t.Errorf("CheckURL(%s): got %s, %v; want ErrAddress", bad, got, err)
		}
	}
}
