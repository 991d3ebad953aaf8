package cloud

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/ibm-cos-sdk-go/aws"
	"github.com/IBM/vpc-go-sdk/vpcv1"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/wrap"
)

// TestVPC imports an encrypted image, orders a VPC server and exports the image, with the
// authorizations that IBM documents and with IBM's SDKs only.
func TestVPC(t *testing.T) {
	w := newWay(t)
	wdek := w.image(luksimg.VPCQCOW2, wrap.Size32, "web.qcow2")
	c, err := vpcv1.NewVpcV1(&vpcv1.VpcV1Options{URL: w.VPC + "/v1", Authenticator: by(w.Settings, w.APIKey)})
	if err != nil {
		t.Fatal(err)
	}

	systems, _, err := c.ListOperatingSystems(c.NewListOperatingSystemsOptions())
	if err != nil || !slices.ContainsFunc(systems.OperatingSystems, func(s vpcv1.OperatingSystem) bool { return *s.Name == "ubuntu-22-04-amd64" }) {
		t.Fatalf("%+v, %v", systems, err)
	}
	prototype := func(name, file, system string) *vpcv1.CreateImageOptions {
		return c.NewCreateImageOptions(&vpcv1.ImagePrototypeImageByFile{
			Name: &name, File: &vpcv1.ImageFilePrototype{Href: core.StringPtr("cos://us-south/" + w.bucket + "/" + file)},
			OperatingSystem:  &vpcv1.OperatingSystemIdentityByName{Name: &system},
			EncryptedDataKey: &wdek, EncryptionKey: &vpcv1.EncryptionKeyIdentityByCRN{CRN: &w.rootKey},
		})
	}
	for _, bad := range []*vpcv1.CreateImageOptions{
		prototype("ibm-web", "web.qcow2", "ubuntu-22-04-amd64"), prototype("web", "web.QCOW2", "ubuntu-22-04-amd64"), prototype("web", "web.qcow2", "ubuntu-4-04-amd64"),
	} {
		if _, r, err := c.CreateImage(bad); status(r, err) != 400 && status(r, err) != 404 {
			t.Errorf("%+v: %v", bad.ImagePrototype, err)
		}
	}
	image, _, err := c.CreateImage(prototype("web", "web.qcow2", "ubuntu-22-04-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	w.wait("image", func() (string, bool) {
		i, _, err := c.GetImage(c.NewGetImageOptions(*image.ID))
		if err != nil {
			t.Fatal(err)
		}
		return *i.Status, *i.Status != "pending"
	}, "available")
	images, err := c.NewImagesPager(c.NewListImagesOptions().SetName("web"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := images.GetAll(); err != nil || len(list) != 1 || *list[0].Encryption != "user_managed" || *list[0].EncryptionKey.CRN != w.rootKey {
		t.Errorf("%+v, %v", list, err)
	}

	subnets, _, err := c.ListSubnets(c.NewListSubnetsOptions())
	if err != nil || len(subnets.Subnets) == 0 {
		t.Fatalf("%+v, %v", subnets, err)
	}
	subnet := subnets.Subnets[0]
	if vpcs, _, err := c.ListVpcs(c.NewListVpcsOptions()); err != nil || !slices.ContainsFunc(vpcs.Vpcs, func(v vpcv1.VPC) bool { return *v.ID == *subnet.VPC.ID }) {
		t.Errorf("%+v, %v", vpcs, err)
	}
	profiles, _, err := c.ListInstanceProfiles(c.NewListInstanceProfilesOptions())
	if err != nil || !slices.ContainsFunc(profiles.Profiles, func(p vpcv1.InstanceProfile) bool { return *p.Name == "bx2-2x8" }) {
		t.Fatalf("%+v, %v", profiles, err)
	}
	key, _, err := c.CreateKey(c.NewCreateKeyOptions("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ4uYv4uXnXn0h0mJm3QyqXb8b6v0u1mU0l1Vh0Xk3T me@example.com").SetName("me").SetType("ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	order := func(name string) (*vpcv1.Instance, *core.DetailedResponse, error) {
		return c.CreateInstance(c.NewCreateInstanceOptions(&vpcv1.InstancePrototypeInstanceByImageInstanceByImageInstanceByNetworkAttachment{
			Name: &name, Image: &vpcv1.ImageIdentityByID{ID: image.ID}, Zone: &vpcv1.ZoneIdentityByName{Name: subnet.Zone.Name},
			Profile: &vpcv1.InstanceProfileIdentityByName{Name: core.StringPtr("bx2-2x8")}, VPC: &vpcv1.VPCIdentityByID{ID: subnet.VPC.ID},
			Keys: []vpcv1.KeyIdentityIntf{&vpcv1.KeyIdentityByID{ID: key.ID}},
			PrimaryNetworkAttachment: &vpcv1.InstanceNetworkAttachmentPrototype{
				VirtualNetworkInterface: &vpcv1.InstanceNetworkAttachmentPrototypeVirtualNetworkInterfaceVirtualNetworkInterfacePrototypeInstanceNetworkAttachmentContext{
					Subnet: &vpcv1.SubnetIdentityByID{ID: subnet.ID},
				},
			},
		}))
	}
	if _, r, err := order("Web1"); status(r, err) != 400 {
		t.Errorf("upper-case name: %v", err)
	}
	server, _, err := order("web1")
	if err != nil {
		t.Fatal(err)
	}
	w.wait("server", func() (string, bool) {
		i, _, err := c.GetInstance(c.NewGetInstanceOptions(*server.ID))
		if err != nil {
			t.Fatal(err)
		}
		return *i.Status, *i.Status == "running" || *i.Status == "failed"
	}, "running")
	w.told(*image.ID, *server.ID)

	// The export writes to a bucket, for which IBM documents the role Writer.
	w.authorize("is", "image", "cloud-object-storage", writer)
	job, _, err := c.CreateImageExportJob(c.NewCreateImageExportJobOptions(*image.ID, &vpcv1.CloudObjectStorageBucketIdentityCloudObjectStorageBucketIdentityByName{Name: &w.bucket}).SetFormat("qcow2").SetName("back"))
	if err != nil {
		t.Fatal(err)
	}
	w.wait("export", func() (string, bool) {
		j, _, err := c.GetImageExportJob(c.NewGetImageExportJobOptions(*image.ID, *job.ID))
		if err != nil {
			t.Fatal(err)
		}
		return *j.Status, *j.Status != "queued" && *j.Status != "running"
	}, "succeeded")
	exported, err := w.cos.get(w.bucket, aws.StringValue(job.StorageObject.Name))
	if err != nil || len(exported) < 4 || string(exported[:4]) != "QFI\xfb" {
		t.Errorf("%d bytes exported, %v", len(exported), err)
	}
	if _, err := c.DeleteInstance(c.NewDeleteInstanceOptions(*server.ID)); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteImage(c.NewDeleteImageOptions(*image.ID)); err != nil {
		t.Error(err)
	}
}

// wait polls until a resource reaches a final state, and fails unless that is the wanted one.
func (w *way) wait(what string, state func() (string, bool), want string) {
	w.t.Helper()
	for range 3000 {
		got, last := state()
		if last {
			if got != want {
				w.t.Fatalf("%s is %s, want %s", what, got, want)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("%s does not become %s", what, want)
}
