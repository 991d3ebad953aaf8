package main

import (
	"encoding/json"
	"os"
	"path/filepath"
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
