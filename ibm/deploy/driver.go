package deploy

import (
	"context"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
)

// The clouds that images are for.
const (
	Classic = "classic" // infrastructure: SoftLayer
	VPC     = "vpc"
)

// A Driver is a cloud that makes images of objects, and servers of images: [NewClassic] or
// [NewVPC]. It keeps nothing of what it made; errors that match softlayer.ErrFailed,
// ErrNotFound and vpc.ErrExists say what became of it.
type Driver interface {
	Target() string                // [Classic] or [VPC]
	Words() (image, server string) // what the cloud calls them

	// UniqueNames reports whether there is never more than one image, and one server, of
	// a name. Otherwise an image is known by its note, and a server by its being new.
	UniqueNames() bool

	// Check finds what would make a later call fail, and sends nothing.
	Check() error

	// FindImage returns the image of a name, nil if there is none. One without an ID says
	// that CreateImage finds out whether it is the one to be made.
	FindImage(ctx context.Context, name string) (*Made, error)
	// CreateImage asks for an image. Of one that failed it returns an error too.
	CreateImage(ctx context.Context, r ImageRequest) (*Made, error)
	WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error)
	// DeleteImage deletes an image and returns when its name is free. One that is gone is
	// no error.
	DeleteImage(ctx context.Context, id string, poll time.Duration) error

	// FindServers returns the IDs of servers of the name that is to be ordered.
	FindServers(ctx context.Context) ([]string, error)
	// CreateServer orders the server, and tells what of it an audit log should have.
	CreateServer(ctx context.Context, image Made) (id string, details map[string]any, err error)
	WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) error
}

// A Made is an image that the cloud has made, or is making.
type Made struct {
	ID               string
	GlobalIdentifier string // "" in VPC
}

// An ImageRequest is what an image is made of.
type ImageRequest struct {
	Name, Note, OSCode string
	URI                string // of the object
	RootKeyCRN         string
	WrappedDEK         string
	BYOL               bool
}
