package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
)

func TestShape(t *testing.T) {
	e := event.New(time.Date(2019, 11, 3, 21, 40, 53, 940e6, time.UTC), "kms.secrets.wrap", 401)
	if len(e.ID) != 36 || e.ID == event.New(time.Now(), "x", 200).ID {
		t.Errorf("id %q", e.ID)
	}
	e.ID = "1"
	e.Initiator.ID, e.Target.ID = "iam-1", "crn:1"
	e.ResponseData = map[string]any{"keyId": "k"}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"1","eventTime":"2019-11-03T21:40:53.94+0000","action":"kms.secrets.wrap","outcome":"failure","severity":"warning","message":"",` +
		`"reason":{"reasonCode":401,"reasonType":"Unauthorized"},"initiator":{"id":"iam-1","name":"","typeURI":"","credential":{"type":""},"host":{"address":""}},` +
		`"target":{"id":"crn:1","name":"","typeURI":""},"observer":{"name":"ActivityTracker"},"responseData":{"keyId":"k"},"logSourceCRN":"","saveServiceCopy":false,"dataEvent":false}`
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	if e := event.New(time.Now(), "x", 204); e.Outcome != "success" || !strings.HasSuffix(e.EventTime, "+0000") {
		t.Errorf("%+v", e)
	}
}
