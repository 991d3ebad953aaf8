package account

import (
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
)

// An Authorization is one that a service needs.
type Authorization struct {
	Policy  iam.Policy
	Name    string // what it is for
	Command string // of ibmcloud, which makes it
}

// Authorizations returns what the services of the cloud need to start servers from images
// whose keys a root key wrapped: Cloud Block Storage the root key, and with vpc the image service
// of VPC the instance of Object Storage; all instances if cosInstance is "". They are all that
// IBM's documentation asks for
// (vpc-create-encrypted-custom-image, vpc-object-storage-prereq).
func Authorizations(account string, key crn.CRN, vpc bool, cosInstance string) []Authorization {
	all := []Authorization{keyAuthorization(account, key, iam.BlockStorage, "of Cloud Block Storage to use the root key")}
	if vpc {
		all = append(all, imageAuthorization(account, cosInstance, iam.RoleReader, "Reader", "of the image service of VPC to read Object Storage"))
	}
	return all
}

// ExportAuthorization returns what the image service of VPC needs to export images to an instance of
// Object Storage, or to all of them if cosInstance is "".
func ExportAuthorization(account, cosInstance string) Authorization {
	return imageAuthorization(account, cosInstance, iam.RoleWriter, "Writer", "of the image service of VPC to write to Object Storage")
}

// keyAuthorization lets a service use root keys.
func keyAuthorization(account string, key crn.CRN, service, name string) Authorization {
	return Authorization{
		iam.Authorization(account, service, key.Service, key.Instance), name,
		fmt.Sprintf("ibmcloud iam authorization-policy-create %s %s Reader --target-service-instance-id %s", service, key.Service, key.Instance),
	}
}

// vpcService is VPC as IAM names it; its images are of a type of resource.
const vpcService = "is"

// imageAuthorization gives the image service of VPC a role for Object Storage.
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

// GrantedBy reports whether a policy is the authorization, or a wider one. If the authorization
// names no instance, since that is not known, one for any instance is taken for it.
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
