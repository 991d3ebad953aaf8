package kms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	hexes  = regexp.MustCompile(`\b[0-9a-f]{32,44}\b`)
	ids    = regexp.MustCompile(`IBMid-[0-9A-F]{10}`)
	tokens = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)
	short  = regexp.MustCompile(`"(nonce|iv|ciphertext)": "[^"]+"`)
	blobs  = regexp.MustCompile(`[A-Za-z0-9+/]{40,}={0,2}`)
)

// golden compares an answer, without its random parts, with a file. With
// LUKSIMG_GOLDEN=write it writes missing files.
func golden(t *testing.T, name string, status int, body []byte) {
	t.Helper()
	var out bytes.Buffer
	if len(body) > 0 {
		if err := json.Indent(&out, body, "", "  "); err != nil {
			t.Fatalf("%s: %v: %s", name, err, body)
		}
	}
	text := http.StatusText(status) + "\n" + out.String() + "\n"
	for _, r := range []struct {
		re *regexp.Regexp
		to string
	}{{tokens, "TOKEN"}, {uuids, "UUID"}, {hexes, "HEX"}, {ids, "IAMID"}, {blobs, "BASE64"}, {short, `"$1": "BASE64"`}} {
		text = r.re.ReplaceAllString(text, r.to)
	}
	file := filepath.Join("testdata", name+".txt")
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) && os.Getenv("LUKSIMG_GOLDEN") == "write" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
	}
}

// TestShapes compares the answers with the formats in the documentation of the services.
func TestShapes(t *testing.T) {
	faults := &fault.Set{}
	s := kms.New(kms.Options{Faults: faults, Now: func() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }})
	_, apiKey := s.AddUser("owner")
	instance := s.AddInstance("kms", "us-south")
	identity, service := httptest.NewServer(s.IAM()), httptest.NewServer(s.KeyProtect())
	defer identity.Close()
	defer service.Close()
	account := s.Account()

	var token string
	do := func(name, method, address, body string, header ...string) []byte {
		t.Helper()
		req, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Bluemix-Instance", strings.Split(instance, ":")[7])
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if name != "" {
			golden(t, name, res.StatusCode, text)
		}
		return text
	}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {apiKey}}
	isForm := []string{"Content-Type", "application/x-www-form-urlencoded"}
	text := do("iam-token", "POST", identity.URL+"/identity/token", form.Encode(), isForm...)
	var answer struct {
		Token     string `json:"access_token"`
		Resources []struct {
			ID string `json:"id"`
		} `json:"resources"`
		Ciphertext string `json:"ciphertext"`
		IAMID      string `json:"iam_id"`
	}
	parse := func(text []byte) {
		t.Helper()
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
	}
	parse(text)
	form.Set("apikey", "wrong")
	do("iam-wrong-key", "POST", identity.URL+"/identity/token", form.Encode(), isForm...)
	form.Set("grant_type", "password")
	do("iam-wrong-grant", "POST", identity.URL+"/oidc/token", form.Encode(), isForm...)
	token = answer.Token
	do("iam-serviceid", "POST", identity.URL+"/v1/serviceids", `{"account_id":"`+account+`","name":"importer","description":"d"}`)
	do("iam-serviceids", "GET", identity.URL+"/v1/serviceids?account_id="+account+"&name=importer", "")
	parse(do("", "GET", identity.URL+"/v1/apikeys/details", "", "IAM-ApiKey", apiKey))
	do("iam-apikey", "POST", identity.URL+"/v1/apikeys", `{"account_id":"`+account+`","iam_id":"`+answer.IAMID+`","name":"k"}`)
	do("iam-apikey-details", "GET", identity.URL+"/v1/apikeys/details", "", "IAM-ApiKey", apiKey)
	// The body comes from the documentation for Cloud Block Storage -> Key Protect.
	policy := `{"type":"authorization","subjects":[{"attributes":[{"name":"serviceName","value":"server-protect"},{"name":"accountId","value":"` + account + `"}]}],"resources":[{"attributes":[{"name":"serviceName","value":"kms"},{"name":"accountId","value":"` + account + `"},{"name":"serviceInstance","value":"i"}]}],"roles":[{"role_id":"crn:v1:bluemix:public:iam::::serviceRole:Reader"}]}`
	do("iam-policy", "POST", identity.URL+"/v1/policies", policy)
	do("iam-policies", "GET", identity.URL+"/v1/policies?account_id="+account+"&type=authorization", "")
	do("iam-policy-twice", "POST", identity.URL+"/v1/policies", policy)
	do("iam-no-token", "GET", identity.URL+"/v1/policies?account_id="+account, "", "Authorization", "Bearer x")

	keys := service.URL + "/api/v2/keys"
	create := `{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"name":"k1","type":"application/vnd.ibm.kms.key+json","extractable":EX}]}`
	parse(do("kms-create", "POST", keys, strings.Replace(create, "EX", "false", 1)))
	root := keys + "/" + answer.Resources[0].ID
	parse(do("kms-create-standard", "POST", keys, strings.Replace(create, "EX", "true", 1)))
	standard := keys + "/" + answer.Resources[0].ID
	parse(do("kms-wrap", "POST", root+"/actions/wrap", `{"plaintext":"YWJjMTIz"}`))
	wdek := answer.Ciphertext
	do("kms-wrap-new", "POST", root+"/actions/wrap", `{}`)
	do("kms-unwrap", "POST", root+"/actions/unwrap", `{"ciphertext":"`+wdek+`"}`)
	do("kms-rotate", "POST", root+"/actions/rotate", `null`)
	do("kms-unwrap-rotated", "POST", root+"/actions/unwrap", `{"ciphertext":"`+wdek+`"}`)
	do("kms-rewrap", "POST", root+"/actions/rewrap", `{"ciphertext":"`+wdek+`"}`)
	do("kms-metadata", "GET", root+"/metadata", "")
	do("kms-list", "GET", keys+"?limit=1&offset=1", "")
	do("kms-get-standard", "GET", standard, "")
	do("kms-import-token", "POST", service.URL+"/api/v2/import_token", `{"expiration":600,"maxAllowedRetrievals":1}`)
	do("kms-import-token-get", "GET", service.URL+"/api/v2/import_token", "")
	do("kms-not-root", "POST", standard+"/actions/wrap", `{}`)
	do("kms-bad-ciphertext", "POST", root+"/actions/unwrap", `{"ciphertext":"bm90"}`)
	do("kms-no-body", "POST", root+"/actions/wrap", ``)
	do("kms-bad-body", "POST", root+"/actions/wrap", `{"plaintext":5}`)
	do("kms-not-base64", "POST", root+"/actions/wrap", `{"plaintext":"?"}`)
	do("kms-not-found", "GET", keys+"/none", "")
	do("kms-no-token", "GET", root, "", "Authorization", "")
	do("kms-no-instance", "GET", root, "", "Bluemix-Instance", "")
	do("kms-two", "POST", keys, `{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{},{}]}`)
	do("kms-no-metadata", "POST", keys, `{"metadata":{},"resources":[{}]}`)
	do("kms-disable", "POST", root+"/actions/disable", ``)
	do("kms-suspended", "POST", root+"/actions/unwrap", `{"ciphertext":"`+wdek+`"}`)
	if err := faults.Arm(fault.Fault{TokenExpired: true}); err != nil {
		t.Fatal(err)
	}
	do("kms-expired-token", "GET", root, "")

	// The documented ciphertext is base64 of JSON with these four names.
	blob, err := base64.StdEncoding.DecodeString(wdek)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "kms-ciphertext", 200, blob)
}
