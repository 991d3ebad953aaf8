package deploy

import (
	"slices"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
)

// TestWaiting checks that a step is reported when it begins and every five minutes, and a lost network immediately.
func TestWaiting(t *testing.T) {
	var told []string
	w := CallOptions{Event: func(e Event) { told = append(told, e.Text) }}.waiting("import")
	at := func(minutes float64, step, detail string) {
		w.Progress(softlayer.Progress{Status: "pending", Step: step, Detail: detail, Elapsed: time.Duration(minutes * float64(time.Minute))})
	}
	for minute := range 12 {
		at(float64(minute), "", "")
	}
	at(12, "", "no response, retrying")
	at(12.5, "", "no response, retrying")
	at(13, "", "")
	at(13, "COPY", "COPY")
	at(14, "COPY", "COPY")
	want := []string{
		"import: pending (0s)", "import: pending (5m0s)", "import: pending (10m0s)", "import: pending: no response, retrying (12m0s)",
		"import: pending (13m0s)", "import: COPY (13m0s)",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}
