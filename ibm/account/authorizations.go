package account

import (
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
)

// An Authorization is a service-to-service authorization.
type Authorization struct {
	Policy  iam.Policy
	Name    string // its purpose
	Command string // the ibmcloud command that creates it
}

// Authorizations returns the authorizations that servers need to start from images encrypted with
// the root key. Cloud Block Storage must be authorized to use the root key. With vpc, the image
// service of VPC must be authorized to read the Object Storage instance, or all instances if
// cosInstance is "". IBM's documentation names no others
// (vpc-create-encrypted-custom-image, vpc-object-storage-prereq).
func Authorizations(account string, key crn.CRN, vpc bool, cosInstance string) []Authorization {
	all := []Authorization{keyAuthorization(account, key, iam.BlockStorage, "of Cloud Block Storage to use the root key")}
	if vpc {
		all = append(all, imageAuthorization(account, cosInstance, iam.RoleReader, "Reader", "of the image service of VPC to read Object Storage"))
	}
	return all
}

// ExportAuthorization returns the authorization that the image service of VPC needs to export images
// to an Object Storage instance, or to all instances if cosInstance is "".
func ExportAuthorization(account, cosInstance string) Authorization {
	return imageAuthorization(account, cosInstance, iam.RoleWriter, "Writer", "of the image service of VPC to write to Object Storage")
}

// keyAuthorization returns the authorization for a service to use root keys.
func keyAuthorization(account string, key crn.CRN, service, name string) Authorization {
	return Authorization{
		iam.Authorization(account, service, key.Service, key.Instance), name,
		fmt.Sprintf("ibmcloud iam authorization-policy-create %s %s Reader --target-service-instance-id %s", service, key.Service, key.Instance),
	}
}

// vpcService is the name of VPC in IAM. Images are a resource type of it.
const vpcService = "is"

// imageAuthorization returns the authorization that grants the VPC image service a role on Object Storage.
func imageAuthorization(account, cosInstance, role, roleName, name string) Authorization {
	p := iam.Authorization(account, vpcService, iam.COS, cosInstance)
	p.Subjects[0].Attributes = append(p.Subjects[0].Attributes, iam.Attribute{Name: "resourceType", Value: "image"})
	p.Roles = []iam.Role{{ID: role}}
	command := fmt.Sprintf("ibmcloud iam authorization-policy-create %s %s %s --source-resource-type image", vpcService, iam.COS, roleName)
	if cosInstance != "" {
		command += " --target-service-instance-id " + cosInstance
	}
	return Authorization{p, name, command}
}

// GrantedBy reports whether policy p grants the authorization or a wider one. If the authorization
// names no instance because it is unknown, a policy for any instance matches.
func (a Authorization) GrantedBy(p iam.Policy) bool {
	want := a.Policy
	named := func(r iam.Attributes, name string) bool {
		return slices.ContainsFunc(r.Attributes, func(x iam.Attribute) bool { return x.Name == name })
	}
	if !named(want.Resources[0], "serviceInstance") {
		r := iam.Attributes{Attributes: slices.Clone(want.Resources[0].Attributes)}
		for _, have := range p.Resources {
			for _, x := range have.Attributes {
				if !named(r, x.Name) {
					r.Attributes = append(r.Attributes, x)
				}
			}
		}
		want.Resources = []iam.Attributes{r}
	}
	return p.Covers(want)
}
