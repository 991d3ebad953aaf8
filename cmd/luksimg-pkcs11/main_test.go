package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

// TestRequests: what is no request is refused before a module is loaded.
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
		`{"version":2,"operation":"find"}`:                                                                           {classRequest, "different versions"},
		`{"version":1,"operation":"sign"}`:                                                                           {classRequest, "no such operation"},
		`{"version":1,"operation":"wrap"}`:                                                                           {classRequest, "no data"},
		`{"version":1,"operation":"unwrap","mechanism":"aes-gcm"}`:                                                   {classRequest, "no data"},
		`{"version":1,"operation":"wrap","data":"` + strings.Repeat("AAAA", 3000) + `"}`:                             {classRequest, "may be 8192"},
		`{"version":1,"operation":"find"` + strings.Repeat(" ", maxRequest):                                          {classRequest, "more than"},
		`{"version":1,"operation":"find"}`:                                                                           {classModule, "no module was named"},
		`{"version":1,"operation":"find","module_path":"x.so"}`:                                                      {classModule, "begins at the root"},
		`{"version":1,"operation":"find","module_path":"/no/such/module.so"}`:                                        {classModule, "no such file"},
		`{"version":1,"operation":"find","module_path":"` + text + `","pin":"c2VjcmV0LXBpbg=="}`:                     {classModule, text},
		`{"version":1,"operation":"find","module_name":"../x"}`:                                                      {classModule, "no name of a module"},
		`{"version":1,"operation":"find","module_name":"*"}`:                                                         {classModule, "no name of a module"},
		`{"version":1,"operation":"find","module_name":"no-such-module"}`:                                            {classModule, "there is no module"},
		`{"version":1,"operation":"find","module_path":"` + filepath.Dir(text) + `","module_name":"no-such-module"}`: {classModule, "there is no module"},
	} {
		a := serve(strings.NewReader(q))
		out, err := json.Marshal(a)
		if err != nil || a.Version != version || a.Fault == nil || a.Fault.Class != want[0] || !strings.Contains(a.Fault.Message, want[1]) || strings.Contains(string(out), "secret") {
			t.Errorf("%.80s: %s, %v; want %q", q, out, err, want)
		}
	}
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

// TestClasses: every result that a module gives has a class.
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

// FuzzRequest gives what names no module: no library is loaded by what chance finds.
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
