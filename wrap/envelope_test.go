package wrap_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/wrap"
)

const crn = "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:a192d603-0b8d-452f-aac3-f9e1f95e7411:key:88d649f8-41b8-4426-b52b-45c88953d5b8"

const golden = `{
  "version": 1,
  "wdek": "eyJjaXBoZXJ0ZXh0Ijoi",
  "root_key_crn": "` + crn + `",
  "key_convention": "classic-luks",
  "image_uuid": "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11",
  "key_fingerprint": "0123456789abcdef",
  "created": "2026-11-24T21:00:00Z",
  "tool": "luksimg 1.0"
}
`

func sample() wrap.Envelope {
	return wrap.Envelope{
		WDEK: "eyJjaXBoZXJ0ZXh0Ijoi", RootKeyCRN: crn, Convention: wrap.ClassicLUKS,
		ImageUUID: "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11", KeyFingerprint: "0123456789abcdef",
		Created: time.Date(2026, 11, 24, 23, 0, 0, 5, time.FixedZone("", 7200)), Tool: "luksimg 1.0",
	}
}

func TestEnvelopeGolden(t *testing.T) {
	e := sample()
	var out bytes.Buffer
	if err := e.Write(&out); err != nil {
		t.Fatal(err)
	}
	if out.String() != golden {
		t.Errorf("wrote\n%s\nwant\n%s", out.String(), golden)
	}
	back, err := wrap.ReadEnvelope(strings.NewReader(golden))
	if err != nil {
		t.Fatal(err)
	}
	if back.WDEK != e.WDEK || back.RootKeyCRN != crn || back.Convention != wrap.ClassicLUKS || !back.Created.Equal(e.Created.Truncate(time.Second)) ||
		back.ImageUUID != e.ImageUUID || back.KeyFingerprint != e.KeyFingerprint || back.Tool != e.Tool || back.KMS != "" {
		t.Errorf("read %+v", back)
	}
}

// TestEnvelopeAdditive checks that unknown fields survive, as rewrap needs.
func TestEnvelopeAdditive(t *testing.T) {
	later := strings.Replace(golden, "\n}", ",\n  \"a_later_field\": {\"x\": [1, 2.50]}\n}", 1)
	e, err := wrap.ReadEnvelope(strings.NewReader(later))
	if err != nil {
		t.Fatal(err)
	}
	e.WDEK = "bmV3"
	var out bytes.Buffer
	if err := e.Write(&out); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, `"a_later_field"`) || !strings.Contains(s, "2.50") || !strings.Contains(s, `"wdek": "bmV3"`) {
		t.Errorf("wrote %s", s)
	}
	if _, err := wrap.ReadEnvelope(&out); err != nil {
		t.Error(err)
	}
}

// TestEnvelopeDeep checks that writing a deeply nested field does not enlarge it.
func TestEnvelopeDeep(t *testing.T) {
	deep := strings.Replace(golden, "\n}", ",\n  \"later\": "+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+"\n}", 1)
	e, err := wrap.ReadEnvelope(strings.NewReader(deep))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.Write(&out); err != nil || out.String() != deep {
		t.Errorf("%d bytes became %d, %v", len(deep), out.Len(), err)
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(golden, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(golden, old, new, 1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "not a JSON object"},
		"array":            {"[]", "not a JSON object"},
		"cut off":          {golden[:100], "not valid JSON"},
		"more follows":     {golden + "{}", "follows"},
		"rubbish follows":  {golden + "x", "follows"},
		"twice":            {swap(`"wdek"`, `"wdek": "b3RoZXI=", "wdek"`), "twice"},
		"other case":       {swap(`"wdek"`, `"WDEK"`), "wdek is missing"},
		"version 3":        {swap(`"version": 1`, `"version": 3`), "version is 3"},
		"no binding":       {swap(`"version": 1`, `"version": 2`), "binding is not 64"},
		"binding of 1":     {swap(`"tool"`, `"binding": "00", "tool"`), "version is 1, but"},
		"salt of 1":        {swap(`"tool"`, `"binding_salt": "00", "tool"`), "version is 1, but"},
		"no salt":          {swap(`"version": 1`, `"version": 2, "binding": "`+strings.Repeat("0a", 32)+`"`), "binding_salt"},
		"too much work":    {swap(`"version": 1`, `"version": 2, "binding": "`+strings.Repeat("0a", 32)+`", "binding_salt": "`+strings.Repeat("0a", 16)+`", "binding_iterations": 4000001`), "binding_iterations"},
		"less than none":   {swap(`"version": 1`, `"version": 2, "binding": "`+strings.Repeat("0a", 32)+`", "binding_salt": "`+strings.Repeat("0a", 16)+`", "binding_iterations": -1`), "binding_iterations"},
		"version text":     {swap(`"version": 1`, `"version": "1"`), "wrong type"},
		"no version":       {swap(`"version": 1,`, ``), "version is 0"},
		"null":             {swap(`"tool": "luksimg 1.0"`, `"tool": null`), "wrong type"},
		"wdek of two":      {swap("eyJj", "eyJj "), "one word"},
		"wdek newline":     {swap("eyJj", `eyJj\n`), "one word"},
		"wdek long":        {swap("eyJj", strings.Repeat("A", 17<<10)), "one word"},
		"both keepers":     {swap(`"tool"`, `"kms": "local:1", "tool"`), "exactly one"},
		"no keeper":        {swap(`"root_key_crn": "`+crn+`",`, ``), "exactly one"},
		"no CRN":           {swap(`"crn:`, `"CRN:`), "not a CRN"},
		"convention":       {swap("classic-luks", "classic"), "key_convention"},
		"no convention":    {swap(`"key_convention": "classic-luks",`, ``), "key_convention is missing"},
		"uuid":             {swap("7d9f4ad6-", "7d9f4ad6"), "image_uuid"},
		"uuid in braces":   {swap("7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11", "{7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11}"), "image_uuid"},
		"fingerprint":      {swap("0123456789abcdef", "0123456789ABCDEF"), "key_fingerprint"},
		"long fingerprint": {swap("0123456789abcdef", "0123456789abcdef00"), "key_fingerprint"},
		"created":          {swap("T21:00:00Z", ""), "created"},
		"tool":             {swap("luksimg 1.0", `luksimg\u001b[31m`), "tool"},
		"not UTF-8":        {swap("luksimg 1.0", "\xff"), "UTF-8"},
		"huge":             {swap("{", "{"+strings.Repeat(" ", 64<<10)), "more than"},
		"deep":             {`{"version":` + strings.Repeat("[", 60000), "not valid JSON"},
	} {
		_, err := wrap.ReadEnvelope(strings.NewReader(c.text))
		if !errors.Is(err, wrap.ErrEnvelope) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	e := sample()
	e.WDEK = ""
	var out bytes.Buffer
	if err := e.Write(&out); !errors.Is(err, wrap.ErrEnvelope) || out.Len() > 0 {
		t.Errorf("wrote an envelope without a key: %v", err)
	}
}

func FuzzReadEnvelope(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"version":1,"wdek":"x","kms":"local:1","key_convention":"none","x":1e400}`))
	f.Add([]byte(`{"version":1,"version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := wrap.ReadEnvelope(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, wrap.ErrEnvelope) {
				t.Fatal(err)
			}
			return
		}
		var out bytes.Buffer
		if err := e.Write(&out); err != nil {
			if strings.Contains(err.Error(), "more than") { // escapes can make it longer
				return
			}
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := wrap.ReadEnvelope(&out)
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if again.WDEK != e.WDEK || again.RootKeyCRN != e.RootKeyCRN || again.KMS != e.KMS || again.Convention != e.Convention ||
			again.ImageUUID != e.ImageUUID || again.KeyFingerprint != e.KeyFingerprint || again.Tool != e.Tool || !again.Created.Equal(e.Created.Truncate(time.Second)) {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}
