package audit_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/luksimg/luksimg/ibm/audit"
)

// Exported events show whether a key was used for a server.
func ExampleChain() {
	f, err := os.Open("testdata/lines.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	events, _, err := audit.Read(f, audit.ReadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	report := audit.Chain(events, audit.Query{
		RootKeyCRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k-1",
		ImageID:    "guid-1",
	})
	for _, row := range report.Table() {
		fmt.Println(strings.Join(row[:3], " | "))
	}
	fmt.Println("broken:", report.Broken())
	// Output:
	// STAGE | TIME | OUTCOME
	// wrap | 2019-11-03T21:40:53Z | success
	// import | 2019-11-03T21:41:53Z | success
	// unwrap | 2019-11-03T21:42:53Z | success
	// provision | 2019-11-03T21:43:53Z | success
	// create | - | unknown
	// broken: false
}
