package engines

import (
	"os"
	"testing"

	batch "cloud.google.com/go/batch/apiv1/batchpb"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestGoogle(t *testing.T) {
	b, err := os.ReadFile("../../examples/batch/google.json")
	if err != nil {
		t.Fatal(err)
	}
	j := new(batch.Job)
	if err := protojson.Unmarshal(b, j); err != nil {
		t.Fatal(err)
	}
	if len(j.TaskGroups) != 1 || j.TaskGroups[0].TaskCount != 4 || len(j.TaskGroups[0].TaskSpec.Runnables) != 1 {
		t.Fatalf("%v", j)
	}
	spec := j.TaskGroups[0].TaskSpec
	r := spec.Runnables[0].GetContainer()
	if len(spec.Environment.SecretVariables) != 1 || spec.Environment.SecretVariables["IBMCLOUD_API_KEY"] == "" {
		t.Errorf("secrets %v", spec.Environment)
	}
	c := newCluster(t)
	c.array(example{r.Commands, []string{"shard", "finish", "cos://us-south/images/disk.job"}, []string{"--kms", "ibm:" + c.root}, nil, variable("BATCH_TASK_INDEX")})
}
