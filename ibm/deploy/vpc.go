package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
)

// vpcDriver is VPC.
type vpcDriver struct {
	client *vpc.Client
	order  vpc.InstanceRequest
}

// NewVPC returns the driver of VPC. order says what server is ordered, but for its image.
func NewVPC(c *vpc.Client, order vpc.InstanceRequest) Driver { return &vpcDriver{c, order} }

func (v *vpcDriver) Target() string                { return VPC }
func (v *vpcDriver) Words() (image, server string) { return "image", "instance" }
func (v *vpcDriver) UniqueNames() bool             { return true }
func (v *vpcDriver) Check() error                  { return nil }

func (v *vpcDriver) FindImage(ctx context.Context, name string) (*Made, error) {
	img, err := v.client.FindImage(ctx, name)
	if errors.Is(err, vpc.ErrNotFound) {
		return nil, nil
	}
	return imageOf(img), err
}

func imageOf(i *vpc.Image) *Made {
	if i == nil {
		return nil
	}
	return &Made{ID: i.ID}
}

func (v *vpcDriver) CreateImage(ctx context.Context, r ImageRequest) (*Made, error) {
	img, err := v.client.CreateImage(ctx, vpc.ImageRequest{
		Name: r.Name, URI: r.URI, OperatingSystem: r.OSCode, RootKeyCRN: r.RootKeyCRN, WrappedDEK: r.WrappedDEK,
	})
	return imageOf(img), err
}

func (v *vpcDriver) WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error) {
	img, err := v.client.WaitImage(ctx, id, o)
	return imageOf(img), err
}

func (v *vpcDriver) DeleteImage(ctx context.Context, id string, poll time.Duration) error {
	err := v.client.DeleteImage(ctx, id)
	for ; err == nil; err = rest.Sleep(ctx, rest.ClockOr(nil), poll) {
		if _, err = v.client.Image(ctx, id); err != nil {
			break
		}
	}
	if errors.Is(err, vpc.ErrNotFound) {
		return nil
	}
	return err
}

func (v *vpcDriver) FindServers(ctx context.Context) ([]string, error) {
	all, err := v.client.Instances(ctx)
	var ids []string
	for _, i := range all {
		if i.Name == v.order.Name {
			ids = append(ids, i.ID)
		}
	}
	return ids, err
}

func (v *vpcDriver) CreateServer(ctx context.Context, image Made) (string, map[string]any, error) {
	r := v.order
	r.Image = image.ID
	details := map[string]any{"image": r.Image, "zone": r.Zone}
	i, err := v.client.CreateInstance(ctx, r)
	if i == nil {
		return "", details, err
	}
	return i.ID, details, err
}

func (v *vpcDriver) WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) error {
	_, err := v.client.WaitInstance(ctx, id, o)
	return err
}
