package endpoint_test

import (
	"testing"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/endpoint"
)

func TestEndpoints(t *testing.T) {
	kp, err := crn.ParseInstance("crn:v1:bluemix:public:kms:eu-de:a/acct:inst::")
	if err != nil {
		t.Fatal(err)
	}
	hpcs := kp
	hpcs.Service = crn.HyperCrypt
	// The addresses of each service on the public, the private and the direct network.
	for name, x := range map[string]struct {
		of   func(network string) string
		want [3]string
	}{
		"iam": {endpoint.IAM, [3]string{"https://iam.cloud.ibm.com", "https://private.iam.cloud.ibm.com", "https://private.iam.cloud.ibm.com"}},
		"kms": {func(n string) string { return endpoint.KeyProtect(kp, n, false) },
			[3]string{"https://eu-de.kms.cloud.ibm.com", "https://private.eu-de.kms.cloud.ibm.com", "https://private.eu-de.kms.cloud.ibm.com"}},
		"dedicated": {func(n string) string { return endpoint.KeyProtect(kp, n, true) },
			[3]string{"https://inst.api.eu-de.kms.appdomain.cloud", "https://inst.api.private.eu-de.kms.appdomain.cloud", "https://inst.api.private.eu-de.kms.appdomain.cloud"}},
		"hpcs": {func(n string) string { return endpoint.KeyProtect(hpcs, n, false) },
			[3]string{"https://inst.api.eu-de.hs-crypto.appdomain.cloud", "https://inst.api.private.eu-de.hs-crypto.appdomain.cloud", "https://inst.api.private.eu-de.hs-crypto.appdomain.cloud"}},
		"cos": {func(n string) string { return endpoint.ObjectStorage("eu-de", n) },
			[3]string{"https://s3.eu-de.cloud-object-storage.appdomain.cloud", "https://s3.private.eu-de.cloud-object-storage.appdomain.cloud", "https://s3.direct.eu-de.cloud-object-storage.appdomain.cloud"}},
		"vpc": {func(n string) string { return endpoint.VPC("eu-de", n) },
			[3]string{"https://eu-de.iaas.cloud.ibm.com", "https://eu-de.private.iaas.cloud.ibm.com", "https://eu-de.private.iaas.cloud.ibm.com"}},
		"softlayer": {endpoint.SoftLayer, [3]string{"https://api.softlayer.com/rest/v3.1", "https://api.service.softlayer.com/rest/v3.1", "https://api.softlayer.com/rest/v3.1"}},
	} {
		for i, network := range []string{endpoint.Public, endpoint.Private, endpoint.Direct} {
			if got := x.of(network); got != x.want[i] {
				t.Errorf("%s, %s: %s", name, network, got)
			}
		}
		if got := x.of(""); got != x.want[0] {
			t.Errorf("%s: %s", name, got)
		}
	}
	for network, ok := range map[string]bool{"": true, "public": true, "private": true, "direct": true, "Private": false, "vpe": false} {
		if err := endpoint.Check(network); (err == nil) != ok {
			t.Errorf("%q: %v", network, err)
		}
	}
}
