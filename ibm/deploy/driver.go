package deploy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// The clouds that images are for.
const (
	Classic = "classic" // infrastructure: SoftLayer
	VPC     = "vpc"
)

// CheckTarget returns an error for what is neither [Classic] nor [VPC].
func CheckTarget(target string) error {
	if target != Classic && target != VPC {
		return fmt.Errorf("--target %s: want %s or %s", target, Classic, VPC)
	}
	return nil
}

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

	// CheckSystem asks whether images may have an operating system.
	CheckSystem(ctx context.Context, code string) error

	// FindImage returns the image of a name, nil if there is none. One without an ID says
	// that CreateImage finds out whether it is the one to be made.
	FindImage(ctx context.Context, name string) (*Made, error)
	// Image returns the image of a name, or of an ID or what else the cloud knows it by.
	Image(ctx context.Context, name string) (*Made, error)
	// CreateImage asks for an image. Of one that failed it returns an error too.
	CreateImage(ctx context.Context, r ImageRequest) (*Made, error)
	WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error)
	// DeleteImage deletes an image and returns when its name is free. One that is gone is
	// no error.
	DeleteImage(ctx context.Context, id string, poll time.Duration) error

	// FindServers returns the IDs of servers of the name of one that is to be ordered.
	FindServers(ctx context.Context, s *Server) ([]string, error)
	// CheckOrder has the cloud check the order of a server, which is not ordered.
	CheckOrder(ctx context.Context, image *Made, s *Server) (*Placed, error)
	// CreateServer orders a server.
	CreateServer(ctx context.Context, image *Made, s *Server) (*Placed, error)
	WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) (*Placed, error)
}

// A Made is an image that the cloud has made, or is making.
type Made struct {
	ID               string              `json:"-"`
	GlobalIdentifier string              `json:"-"`     // "" in VPC
	Ready            bool                `json:"ready"` // servers can be ordered from it
	Template         *softlayer.Template `json:"template,omitempty"`
	Image            *vpc.Image          `json:"image,omitempty"`
}

func ofTemplate(t *softlayer.Template) *Made {
	if t == nil {
		return nil
	}
	return &Made{ID: strconv.Itoa(t.ID), GlobalIdentifier: t.GlobalIdentifier, Ready: t.Ready(), Template: t}
}

func ofImage(i *vpc.Image) *Made {
	if i == nil {
		return nil
	}
	return &Made{ID: i.ID, Ready: i.Ready(), Image: i}
}

// String tells what it is, in one line.
func (m *Made) String() string {
	if m.Template != nil {
		return fmt.Sprintf("template %d, %s, global identifier %s", m.Template.ID, m.Template.Name, m.GlobalIdentifier)
	}
	return fmt.Sprintf("image %s, %s", m.ID, m.name())
}

func (m *Made) name() string {
	switch {
	case m.Template != nil:
		return m.Template.Name
	case m.Image != nil:
		return m.Image.Name
	}
	return ""
}

// A Placed is a server that was ordered, or whose order was checked.
type Placed struct {
	ID       string           `json:"-"`
	Ready    bool             `json:"ready"`           // it is provisioned
	Quote    *softlayer.Quote `json:"quote,omitempty"` // it is not ordered
	Server   *softlayer.Guest `json:"server,omitempty"`
	Instance *vpc.Instance    `json:"instance,omitempty"`
}

func ofGuest(g *softlayer.Guest) *Placed {
	if g == nil {
		return nil
	}
	return &Placed{ID: strconv.Itoa(g.ID), Ready: g.Ready(), Server: g}
}

func ofInstance(i *vpc.Instance) *Placed {
	if i == nil {
		return nil
	}
	return &Placed{ID: i.ID, Ready: i.Ready(), Instance: i}
}

// String tells what it is, in one line.
func (p *Placed) String() string {
	switch {
	case p.Instance != nil:
		return fmt.Sprintf("instance %s, %s", p.ID, p.Instance.Name)
	case p.Server != nil && p.Server.PublicIP != "":
		return fmt.Sprintf("server %d, %s.%s, %s", p.Server.ID, p.Server.Hostname, p.Server.Domain, p.Server.PublicIP)
	case p.Server != nil:
		return fmt.Sprintf("server %d, %s.%s", p.Server.ID, p.Server.Hostname, p.Server.Domain)
	}
	return "no server"
}
