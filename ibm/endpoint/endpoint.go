// Package endpoint has the addresses of IBM Cloud's services, on each of its networks.
//
// What is documented:
//
//   - Object Storage has all three (cloud-object-storage, endpoints.md): private endpoints are
//     not reached from a VPC, direct ones are.
//   - IAM, Key Protect and VPC have a public and a private one (account, iam-service-endpoints;
//     key-protect, regions.md; vpc, service-endpoints-for-vpc.md). From a VPC the private one is
//     reached by a virtual private endpoint gateway, so that it is the direct one too.
//   - Key Protect Dedicated has an address for each instance (key-protect, migrate-st.md), as
//     Hyper Protect Crypto Services have; the private one has ".private" behind "api".
//   - The SoftLayer API has a private one on the network of classic infrastructure
//     (sldn.softlayer.com, getting started), which is not documented to be reached from a VPC:
//     there it is the public one.
package endpoint

import (
	"fmt"

	"github.com/luksimg/luksimg/ibm/crn"
)

// Networks, by which the services are reached. "" is [Public].
const (
	Public  = "public"
	Private = "private" // from classic infrastructure, and by Direct Link
	Direct  = "direct"  // from a VPC
)

// Check returns an error if there is no such network.
func Check(network string) error {
	switch network {
	case "", Public, Private, Direct:
		return nil
	}
	return fmt.Errorf("network %q is not public, private or direct", network)
}

// inside tells whether a network is not the public one.
func inside(network string) bool { return network == Private || network == Direct }

// IAM returns the address of IAM, the same for all regions.
func IAM(network string) string {
	if inside(network) {
		return "https://private.iam.cloud.ibm.com"
	}
	return "https://iam.cloud.ibm.com"
}

// KeyProtect returns the address of the key service that keeps the instance or the root key of
// a CRN. A dedicated instance of Key Protect has one of its own, as all of Hyper Protect Crypto
// Services have; nothing in the CRN tells that it is one.
func KeyProtect(c crn.CRN, network string, dedicated bool) string {
	own := func(service string) string {
		if inside(network) {
			return "https://" + c.Instance + ".api.private." + c.Region + "." + service + ".appdomain.cloud"
		}
		return "https://" + c.Instance + ".api." + c.Region + "." + service + ".appdomain.cloud"
	}
	switch {
	case c.Service == crn.HyperCrypt:
		return own("hs-crypto")
	case dedicated:
		return own("kms")
	case inside(network):
		return "https://private." + c.Region + ".kms.cloud.ibm.com"
	}
	return "https://" + c.Region + ".kms.cloud.ibm.com"
}

// ObjectStorage returns the address of Object Storage in a region.
func ObjectStorage(region, network string) string {
	if inside(network) {
		network += "."
	} else {
		network = ""
	}
	return "https://s3." + network + region + ".cloud-object-storage.appdomain.cloud"
}

// VPC returns the address of the VPC API in a region, without /v1.
func VPC(region, network string) string {
	if inside(network) {
		return "https://" + region + ".private.iaas.cloud.ibm.com"
	}
	return "https://" + region + ".iaas.cloud.ibm.com"
}

// SoftLayer returns the address of the REST API of classic infrastructure.
func SoftLayer(network string) string {
	if network == Private {
		return "https://api.service.softlayer.com/rest/v3.1"
	}
	return "https://api.softlayer.com/rest/v3.1"
}
