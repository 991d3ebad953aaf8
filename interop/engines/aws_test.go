package engines

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func TestAWS(t *testing.T) {
	c := calls(t, "aws.sh", "aws", true)
	if len(c) != 3 {
		t.Fatalf("%d calls: %q", len(c), c)
	}
	// The client aws has checked the arguments against the model of the service.
	var definition struct {
		ContainerProperties struct {
			Command []string
			Secrets []struct{ Name string }
		}
	}
	b, err := os.ReadFile("../../examples/batch/aws.json")
	if err == nil {
		err = json.Unmarshal(b, &definition)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := definition.ContainerProperties
	if len(p.Secrets) != 1 || p.Secrets[0].Name != "IBMCLOUD_API_KEY" {
		t.Errorf("%+v", p)
	}
	if got := values(c[1], "--array-properties"); !slices.Equal(got, []string{"size=4"}) {
		t.Errorf("array properties %q", got)
	}
	if got := values(c[2], "--depends-on"); !slices.Equal(got, []string{"jobId=jobId"}) { // the ID that aws makes up
		t.Errorf("the finishing job depends on %q", got)
	}
	var overrides struct{ Command []string }
	if err := json.Unmarshal([]byte(values(c[2], "--container-overrides")[0]), &overrides); err != nil {
		t.Fatal(err)
	}
	k := newCluster(t)
	k.array(example{p.Command, overrides.Command, []string{"--kms", "ibm:" + k.root}, nil, variable("AWS_BATCH_JOB_ARRAY_INDEX")})
}
