package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
)

const (
	crn   = "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k-1"
	other = "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k-10"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// at returns an event a number of minutes after the start.
func at(minutes int, action, initiator, target string, data map[string]any) audit.Event {
	return audit.Event{
		Time: start.Add(time.Duration(minutes) * time.Minute), Action: action, Outcome: "success", ReasonCode: 200,
		Initiator: audit.Party{Name: initiator}, Target: audit.Party{ID: target}, RequestData: data,
	}
}

func story() []audit.Event {
	return []audit.Event{
		at(0, "kms.secrets.create", "me@example.com", crn, nil),
		at(1, "kms.secrets.wrap", "me@example.com", crn, nil),
		at(2, "audit-log.vsi-image-template.create", "me@example.com", "crn:v1:x:::::a:vsi-image-template:guid-1", map[string]any{"crkCrn": crn}),
		at(5, "kms.secrets.unwrap", "server-protect", crn, nil),
		at(6, "audit-log.vsi.provision", "me@example.com", "crn:v1:x:::::a:vsi:9", map[string]any{"imageTemplate": "guid-1"}),
	}
}

var query = audit.Query{RootKeyCRN: crn, ImageID: "guid-1"}

func TestChainWhole(t *testing.T) {
	events := story()
	slices.Reverse(events)
	events = append(events, at(3, "kms.secrets.unwrap", "server-protect", other, nil)) // a key whose ID has the same prefix
	r := audit.Chain(events, query)
	if r.Broken() || len(r.Gaps) != 0 || len(r.Refusals) != 0 || len(r.Notes) != 0 {
		t.Fatalf("complete chain: %+v", r)
	}
	var got []audit.Stage
	for _, s := range r.Steps {
		got = append(got, s.Stage)
	}
	if !slices.Equal(got, audit.Stages) {
		t.Errorf("steps %v", got)
	}
}

func TestChainGaps(t *testing.T) {
	for _, stage := range audit.Stages {
		events := story()
		i := slices.Index(audit.Stages, stage)
		r := audit.Chain(slices.Delete(events, i, i+1), query)
		if len(r.Gaps) != 1 || r.Gaps[0].Stage != stage {
			t.Errorf("without %s: gaps %+v", stage, r.Gaps)
		}
		if r.Broken() != (stage != audit.Create) {
			t.Errorf("without %s: broken is %v", stage, r.Broken())
		}
	}
}

func TestChainRefused(t *testing.T) {
	events := story()
	events[3].Outcome, events[3].ReasonCode, events[3].ReasonType = "failure", 409, "Conflict"
	r := audit.Chain(events, query)
	if !r.Broken() || len(r.Refusals) != 1 || r.Refusals[0].ReasonCode != 409 || r.Gaps[0].Stage != audit.Unwrap {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(r.Gaps[0].Reason, "409 Conflict") {
		t.Errorf("gap %q", r.Gaps[0].Reason)
	}
	// A later success: the refusal is flagged, but the chain is complete.
	r = audit.Chain(append(events, at(5, "kms.secrets.unwrap", "server-protect", crn, nil)), query)
	if r.Broken() || len(r.Refusals) != 1 {
		t.Fatalf("%+v", r)
	}
	// A success with the reason code of a refusal counts as refused.
	events = story()
	events[1].ReasonCode = 403
	if r := audit.Chain(events, query); !r.Broken() || r.Gaps[0].Stage != audit.Wrap {
		t.Fatalf("%+v", r)
	}
}

func TestChainUnwrapByOther(t *testing.T) {
	events := story()
	events[3].Initiator.Name = "eve@example.com"
	r := audit.Chain(events, query)
	if !r.Broken() || len(r.Notes) != 1 || r.Notes[0].Initiator != "eve@example.com" || !strings.Contains(r.Gaps[0].Reason, "not by the cloud") {
		t.Fatalf("%+v", r)
	}
	q := query
	q.Services = []string{"eve@example.com"}
	if r := audit.Chain(events, q); r.Broken() {
		t.Fatalf("%+v", r)
	}
}

func TestChainOrder(t *testing.T) {
	events := story()
	events[3].Time = start.Add(-time.Hour) // unwrapped before the import
	r := audit.Chain(events, query)
	if !r.Broken() || r.Gaps[0].Stage != audit.Unwrap || !strings.Contains(r.Gaps[0].Reason, "only before the import") {
		t.Fatalf("%+v", r)
	}
}

// TestChainOrderEvent checks that the provision event may come when the server is ordered.
func TestChainOrderEvent(t *testing.T) {
	events := story()
	events[4].Time = start.Add(4 * time.Minute)
	if r := audit.Chain(events, query); r.Broken() {
		t.Fatalf("%+v", r)
	}
	events[4].Time = start.Add(time.Minute)
	if r := audit.Chain(events, query); !r.Broken() || r.Gaps[0].Stage != audit.Provision {
		t.Fatalf("%+v", r)
	}
}

func TestChainDuplicates(t *testing.T) {
	events := story()
	for i := range events {
		events[i].ID = string(rune('a' + i))
	}
	if r := audit.Chain(append(events, events...), query); len(r.Steps) != 5 {
		t.Errorf("%d steps", len(r.Steps))
	}
}

// TestFiles reads all supported file formats and expects the same chain.
func TestFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/*")
	if err != nil || len(names) < 6 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		events, skipped, err := audit.Read(bytes.NewReader(text), audit.ReadOptions{})
		if err != nil || skipped.Records != 0 || skipped.NoTime != 0 {
			t.Errorf("%s: %+v, %v", name, skipped, err)
			continue
		}
		r := audit.Chain(events, audit.Query{RootKeyCRN: crn, ImageID: "guid-1"})
		if r.Broken() || len(r.Steps) != 4 || len(r.Gaps) != 1 {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		if want := time.Date(2019, 11, 3, 21, 40, 53, 940e6, time.UTC); !r.Steps[0].Time.Equal(want) {
			t.Errorf("%s: wrap at %v", name, r.Steps[0].Time)
		}
	}
}

func TestReportRendering(t *testing.T) {
	events := story()[:4]
	events[3].Outcome, events[3].ReasonCode, events[3].ReasonType = "failure", 409, "Con\x1b[31mflict"
	r := audit.Chain(events, query)
	table := r.Table()
	if len(table) != 1+4+2 {
		t.Fatalf("%q", table)
	}
	if got := table[4][2]; got != "REFUSED 409 Con [31mflict" {
		t.Errorf("%q", got)
	}
	if got := table[6]; got[0] != "provision" || got[2] != "MISSING" {
		t.Errorf("%q", got)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"stage":"unwrap"`, `"refused":true`, `"reason_code":409`, `"gaps":[`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s missing in %s", want, text)
		}
	}
}

// TestChainServer uses a server event that names the image and not the root key.
func TestChainServer(t *testing.T) {
	events := []audit.Event{
		at(0, "kms.secrets.create", "me@example.com", crn, nil),
		at(1, "kms.secrets.wrap", "me@example.com", crn, nil),
		at(2, "is.image.image.create", "me@example.com", "crn:v1:bluemix:public:is:us-south:a/acct::image:r006-1", map[string]any{"encryption_key": map[string]any{"crn": crn}}),
		at(3, "is.image.image.create", "me@example.com", "crn:v1:bluemix:public:is:us-south:a/acct::image:r006-2", map[string]any{"encryption_key": map[string]any{"crn": other}}),
		at(4, "kms.secrets.unwrap", "server-protect", crn, nil),
		at(5, "is.instance.instance.create", "me@example.com", "crn:v1:bluemix:public:is:us-south:a/acct::instance:0717_1", map[string]any{"image": map[string]any{"id": "r006-1"}}),
		at(6, "is.instance.instance.create", "me@example.com", "crn:v1:bluemix:public:is:us-south:a/acct::instance:0717_2", map[string]any{"image": map[string]any{"id": "r006-2"}}),
	}
	r := audit.Chain(events, audit.Query{RootKeyCRN: crn})
	if r.Broken() || len(r.Steps) != 5 || !strings.HasSuffix(r.Steps[4].Target, ":0717_1") {
		t.Errorf("%+v", r)
	}
}

// TestChainChoice uses two images of one root key, with a server each.
func TestChainChoice(t *testing.T) {
	events := append(story(),
		at(7, "audit-log.vsi-image-template.create", "me@example.com", "crn:v1:x:::::a:vsi-image-template:guid-2", map[string]any{"crkCrn": crn}),
		at(8, "kms.secrets.unwrap", "server-protect", crn, nil),
		at(9, "audit-log.vsi.provision", "me@example.com", "crn:v1:x:::::a:vsi:10", map[string]any{"imageTemplate": "guid-2", "crkCrn": crn}),
	)
	for _, c := range []struct {
		image, server string
		targets       string // last parts of import and server targets
		missing       string // stages
	}{
		{"", "", "guid-1 9 guid-2 10", ""},
		{"guid-1", "", "guid-1 9", ""},
		{"guid-2", "", "guid-2 10", ""},
		{"", "10", "guid-2 10", ""},
		{"guid-1", "9", "guid-1 9", ""},
		{"guid-1", "10", "guid-1", "provision"},
		{"nope", "", "", "import provision"},
		{"", "nope", "guid-1 guid-2", "provision"},
		{"nope", "nope", "", "import provision"},
	} {
		r := audit.Chain(events, audit.Query{RootKeyCRN: crn, ImageID: c.image, ServerID: c.server})
		var targets, missing []string
		for _, s := range r.Steps {
			if s.Stage == audit.Import || s.Stage == audit.Provision {
				targets = append(targets, s.Target[strings.LastIndexByte(s.Target, ':')+1:])
			}
		}
		for _, g := range r.Gaps {
			missing = append(missing, string(g.Stage))
			if !strings.Contains(g.Reason, "no event") {
				t.Errorf("image %q, server %q: gap %q", c.image, c.server, g.Reason)
			}
		}
		if got := strings.Join(targets, " "); got != c.targets {
			t.Errorf("image %q, server %q: targets %q", c.image, c.server, got)
		}
		if got := strings.Join(missing, " "); got != c.missing || r.Broken() != (got != "") {
			t.Errorf("image %q, server %q: missing %q, broken is %v", c.image, c.server, got, r.Broken())
		}
	}
}

func TestCurrent(t *testing.T) {
	for old, want := range map[string]string{
		"kms.secrets.readmetadata":   "kms.secrets-metadata.read",
		"kms.importtoken.create":     "kms.import-token.create",
		"hs-crypto.importtoken.read": "hs-crypto.import-token.read",
		"KMS.keyrings.create":        "kms.key-rings.create",
		"kms.secrets.wrap":           "kms.secrets.wrap",
		"kms.secrets-metadata.read":  "kms.secrets-metadata.read",
		"cloud.secrets.readmetadata": "cloud.secrets.readmetadata",
		"audit-log.vsi.provision":    "audit-log.vsi.provision",
	} {
		if got := audit.Current(old); got != want {
			t.Errorf("%s: %s", old, got)
		}
	}
}
