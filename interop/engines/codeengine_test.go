package engines

import (
	"slices"
	"testing"
)

// ceFlags are the flags of `ibmcloud ce job create` that the example uses, from the reference of the
// IBM Cloud Code Engine CLI: cloud.ibm.com/docs/codeengine?topic=codeengine-cli. The client itself
// needs an account.
var ceFlags = []string{"--name", "--image", "--argument", "--array-indices", "--cpu", "--memory", "--retrylimit", "--maxexecutiontime",
	"--env-from-secret"}

func TestCodeEngine(t *testing.T) {
	var jobs [][]string
	for _, args := range calls(t, "code-engine.sh", "ibmcloud", false) {
		if !slices.Equal(args[:3], []string{"ce", "job", "create"}) {
			continue
		}
		for i := 3; i < len(args); i += 2 {
			if !slices.Contains(ceFlags, args[i]) || i+1 == len(args) {
				t.Errorf("unknown flag %s", args[i])
			}
		}
		jobs = append(jobs, values(args, "--argument"))
		if got := values(args, "--array-indices"); len(jobs) == 1 && !slices.Equal(got, []string{"0-3"}) {
			t.Errorf("array indices %q", got)
		}
	}
	if len(jobs) != 2 {
		t.Fatalf("%d jobs", len(jobs))
	}
	c := newCluster(t)
	c.array(example{jobs[0], jobs[1], []string{"--kms", "ibm:" + c.root}, nil, func(i int) []string {
		return append(variable("JOB_INDEX")(i), "CE_JOBRUN=shards-x1")
	}})
}
