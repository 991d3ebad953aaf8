package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
)

// vpcDriver is the driver of VPC.
type vpcDriver struct{ client *vpc.Client }

// NewVPC returns the driver of VPC.
func NewVPC(c *vpc.Client) Driver { return &vpcDriver{c} }

func (v *vpcDriver) Target() string                { return VPC }
func (v *vpcDriver) Words() (image, server string) { return "image", "instance" }
func (v *vpcDriver) UniqueNames() bool             { return true }
func (v *vpcDriver) Check() error                  { return nil }

func (v *vpcDriver) CheckSystem(ctx context.Context, code string) error {
	return v.client.CheckOperatingSystem(ctx, code)
}

func (v *vpcDriver) FindImage(ctx context.Context, name string) (*Made, error) {
	img, err := v.client.FindImage(ctx, name)
	if errors.Is(err, vpc.ErrNotFound) {
		return nil, nil
	}
	return ofImage(img), err
}

func (v *vpcDriver) Image(ctx context.Context, name string) (*Made, error) {
	img, err := v.client.LookUp(ctx, name)
	return ofImage(img), err
}

func (v *vpcDriver) CreateImage(ctx context.Context, r ImageRequest) (*Made, error) {
	img, err := v.client.CreateImage(ctx, vpc.ImageRequest{
		Name: r.Name, URI: r.URI, OperatingSystem: r.OSCode, RootKeyCRN: r.RootKeyCRN, WrappedDEK: r.WrappedDEK,
	})
	return ofImage(img), err
}

func (v *vpcDriver) WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error) {
	img, err := v.client.WaitImage(ctx, id, o)
	return ofImage(img), err
}

func (v *vpcDriver) DeleteImage(ctx context.Context, id string, poll time.Duration) error {
	return untilGone(ctx, poll, v.client.DeleteImage(ctx, id), func() error {
		_, err := v.client.Image(ctx, id)
		return err
	})
}

// untilGone waits until look does not find what was deleted. err is the result of the
// deletion.
func untilGone(ctx context.Context, poll time.Duration, err error, look func() error) error {
	for ; err == nil; err = rest.Sleep(ctx, rest.ClockOr(nil), poll) {
		if err = look(); err != nil {
			break
		}
	}
	if errors.Is(err, vpc.ErrNotFound) {
		return nil
	}
	return err
}

func (v *vpcDriver) FindServers(ctx context.Context, s *Server) ([]string, error) {
	all, err := v.client.Instances(ctx)
	var ids []string
	for _, i := range all {
		if i.Name == s.Hostname {
			ids = append(ids, i.ID)
		}
	}
	return ids, err
}

func (v *vpcDriver) CheckOrder(context.Context, *Made, *Server) (*Placed, error) {
	return nil, ErrNoDryRun
}

// ErrNoDryRun means that the cloud cannot check an order without placing it.
var ErrNoDryRun = errors.New("--dry-run: VPC cannot check an order without placing it")

func (v *vpcDriver) CreateServer(ctx context.Context, image *Made, s *Server) (*Placed, error) {
	r, err := s.vpc()
	if err != nil {
		return nil, err
	}
	r.Image = image.ID
	i, err := v.client.CreateInstance(ctx, r)
	return ofInstance(i), err
}

func (v *vpcDriver) WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) (*Placed, error) {
	i, err := v.client.WaitInstance(ctx, id, o)
	return ofInstance(i), err
}
