package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

// TestRequests checks that a malformed request is refused before a module is loaded.
func TestRequests(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for q, want := range map[string][2]string{
		"":   {classRequest, "malformed"},
		"[]": {classRequest, "malformed"},
		"{}": {classRequest, "version 0"},
		`{"version":1,"operation":"find","module":"x"}`:                                                              {classRequest, "unknown field"},
		`{"version":1,"operation":"find","PIN":"c2VjcmV0LXBpbg=="}`:                                                  {classRequest, "unknown field"},
		`{"version":1,"operation":"find"}{}`:                                                                         {classRequest, "malformed"},
		`{"version":2,"operation":"find"}`:                                                                           {classRequest, "different versions"},
		`{"version":1,"operation":"sign"}`:                                                                           {classRequest, "unknown operation"},
		`{"version":1,"operation":"wrap"}`:                                                                           {classRequest, "data is missing"},
		`{"version":1,"operation":"unwrap","mechanism":"aes-gcm"}`:                                                   {classRequest, "data is missing"},
		`{"version":1,"operation":"wrap","data":"` + strings.Repeat("AAAA", 3000) + `"}`:                             {classRequest, "more than 8192"},
		`{"version":1,"operation":"find"` + strings.Repeat(" ", maxRequest):                                          {classRequest, "more than"},
		`{"version":1,"operation":"find"}`:                                                                           {classModule, "no module is given"},
		`{"version":1,"operation":"find","module_path":"x.so"}`:                                                      {classModule, "must be absolute"},
		`{"version":1,"operation":"find","module_path":"/no/such/module.so"}`:                                        {classModule, "no such file"},
		`{"version":1,"operation":"find","module_path":"` + text + `","pin":"c2VjcmV0LXBpbg=="}`:                     {classModule, text},
		`{"version":1,"operation":"find","module_name":"../x"}`:                                                      {classModule, "not the name of a module"},
		`{"version":1,"operation":"find","module_name":"*"}`:                                                         {classModule, "not the name of a module"},
		`{"version":1,"operation":"find","module_name":"no-such-module"}`:                                            {classModule, "no module no-such-module in"},
		`{"version":1,"operation":"find","module_path":"` + filepath.Dir(text) + `","module_name":"no-such-module"}`: {classModule, "no module no-such-module in"},
	} {
		a := serve(strings.NewReader(q))
		out, err := json.Marshal(a)
		if err != nil || a.Version != version || a.Fault == nil || a.Fault.Class != want[0] || !strings.Contains(a.Fault.Message, want[1]) || strings.Contains(string(out), "secret") {
			t.Errorf("%.80s: %s, %v; want %q", q, out, err, want)
		}
	}
}

// TestMembers checks that parseRequest accepts each member of a request.
func TestMembers(t *testing.T) {
	q := request{1, "wrap", "/m.so", "m", map[string]string{"id": "01"}, []byte("pin"), "aes-gcm", []byte("key")}
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if !strings.Contains(string(text), `"`+m+`":`) {
			t.Errorf("no member %s in %s", m, text)
		}
	}
	if got, err := parseRequest(text); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWiped checks that no copy of the request stays in the buffer that serve read it into.
func TestWiped(t *testing.T) {
	var in keeping
	in.r = strings.NewReader(`{"version":1,"operation":"sign","pin":"` + strings.Repeat("c2VjcmV0", 500) + `"}`)
	if a := serve(&in); a.Fault == nil || len(in.given) == 0 {
		t.Fatalf("%+v, %d reads", a, len(in.given))
	}
	for _, p := range in.given {
		if len(bytes.Trim(p, "\x00")) > 0 {
			t.Errorf("%q stays in memory", p)
		}
	}
}

// A keeping reader keeps the buffers that it filled.
type keeping struct {
	r     io.Reader
	given [][]byte
}

func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.r.Read(p[:min(len(p), 20)])
	k.given = append(k.given, p[:n])
	return n, err
}

func TestFits(t *testing.T) {
	is := map[string]string{"token": "a", "slot-id": "3"}
	for want, ok := range map[string]bool{"token=a": true, "token=b": false, "slot-id=3": true, "object=x": true, "token=": false} {
		name, value, _ := strings.Cut(want, "=")
		if fits(map[string]string{name: value}, is) != ok {
			t.Error(want)
		}
	}
}

// TestClasses checks that every result of a module has a class.
func TestClasses(t *testing.T) {
	for r, want := range map[cryptoki.Result]string{
		cryptoki.WrappedKeyInvalid: classData, cryptoki.MechanismInvalid: classMechanism, cryptoki.KeyFunctionNotPermitted: classDenied,
		cryptoki.UserNotLoggedIn: classDenied, cryptoki.DeviceError: classDevice, cryptoki.TokenNotPresent: classDevice, 0x80000000: classDevice,
	} {
		if got := classOf(&cryptoki.Error{Function: "C_X", Result: r}); got != want {
			t.Errorf("%v: %s, want %s", r, got, want)
		}
	}
}

// FuzzRequest varies requests that name no module, so that no library is loaded by chance.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{"", "{}", `{"version":1,"operation":"find","attributes":{"id":"01"},"pin":"AAAA"}`, `{"version":1,"operation":"unwrap","mechanism":"aes-gcm","data":"AAAA","module_name":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(strings.ToLower(string(text)), "module_") || strings.Contains(string(text), `\u`) {
			return
		}
		a := serve(strings.NewReader(string(text)))
		if a.Fault == nil || a.Fault.Message == "" || a.Data != nil {
			t.Fatalf("%q: %+v", text, a)
		}
	})
}
