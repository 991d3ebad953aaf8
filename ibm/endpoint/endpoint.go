// Package endpoint returns the addresses of IBM Cloud services on each of IBM's networks.
//
// IBM documents these endpoints:
//
//   - Object Storage has public, private and direct endpoints (cloud-object-storage, endpoints.md).
//     A VPC reaches the direct endpoints, not the private ones.
//   - IAM, Key Protect and VPC have public and private endpoints (account, iam-service-endpoints;
//     key-protect, regions.md; vpc, service-endpoints-for-vpc.md). A VPC reaches the private
//     endpoint through a virtual private endpoint gateway, so this package also uses it for [Direct].
//   - Key Protect Dedicated (key-protect, migrate-st.md) and Hyper Protect Crypto Services have an
//     address per instance. The private address has ".private" after "api".
//   - The SoftLayer API has public and private endpoints; the private one is on the network of
//     classic infrastructure (sldn.softlayer.com, getting started). IBM does not document access to
//     it from a VPC, so this package uses the public endpoint for [Direct].
package endpoint

import (
	"fmt"

	"github.com/luksimg/luksimg/ibm/crn"
)

// Networks from which the services are reached. "" means [Public].
const (
	Public  = "public"
	Private = "private" // from classic infrastructure or through Direct Link
	Direct  = "direct"  // from a VPC
)

// Check returns an error unless network is "", [Public], [Private] or [Direct].
func Check(network string) error {
	switch network {
	case "", Public, Private, Direct:
		return nil
	}
	return fmt.Errorf("network %q is not public, private or direct", network)
}

// inside reports whether network is [Private] or [Direct].
func inside(network string) bool { return network == Private || network == Direct }

// IAM returns the address of IAM, which is the same for all regions.
func IAM(network string) string {
	if inside(network) {
		return "https://private.iam.cloud.ibm.com"
	}
	return "https://iam.cloud.ibm.com"
}

// KeyProtect returns the address of the key service for the instance or root key c. All instances of
// Hyper Protect Crypto Services and Key Protect Dedicated have their own address. A CRN does
// not show whether Key Protect is dedicated, so dedicated says so.
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

// SoftLayer returns the address of the REST API for classic infrastructure.
func SoftLayer(network string) string {
	if network == Private {
		return "https://api.service.softlayer.com/rest/v3.1"
	}
	return "https://api.softlayer.com/rest/v3.1"
}
