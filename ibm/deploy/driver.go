package deploy

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// The clouds that an image can be made for.
const (
	Classic = "classic" // classic infrastructure (SoftLayer)
	VPC     = "vpc"
)

// CheckTarget returns an error unless target is [Classic] or [VPC].
func CheckTarget(target string) error {
	if target != Classic && target != VPC {
		return fmt.Errorf("--target %s: want %s or %s", target, Classic, VPC)
	}
	return nil
}

// A Driver creates images from objects and servers from images in one cloud; see [NewClassic] and
// [NewVPC]. It keeps no record of what it created. Its errors match softlayer.ErrFailed,
// ErrNotFound and vpc.ErrExists.
type Driver interface {
	Target() string                // [Classic] or [VPC]
	Words() (image, server string) // what the cloud calls an image and a server

	// UniqueNames reports whether image and server names are unique in the cloud.
	// Otherwise an image is identified by its note, and a new server by comparison with the earlier ones.
	UniqueNames() bool

	// Check finds errors in the configuration that would make a later call fail. It sends no request.
	Check() error

	// CheckSystem checks that images can have the operating system with this code.
	CheckSystem(ctx context.Context, code string) error

	// FindImage returns the image with a name, or nil. A result without an ID means
	// that CreateImage itself detects an existing image.
	FindImage(ctx context.Context, name string) (*Made, error)
	// Image returns the image with a name, a number or an ID.
	Image(ctx context.Context, name string) (*Made, error)
	// CreateImage requests an image. If the image failed, it returns an error along with the image.
	CreateImage(ctx context.Context, r ImageRequest) (*Made, error)
	WaitImage(ctx context.Context, id string, o softlayer.WaitOptions) (*Made, error)
	// DeleteImage deletes an image and returns when its name is free. A missing image is not an
	// error.
	DeleteImage(ctx context.Context, id string, poll time.Duration) error

	// FindServers returns the IDs of the servers that have the name of s.
	FindServers(ctx context.Context, s *Server) ([]string, error)
	// CheckOrder asks the cloud to check an order without placing it.
	CheckOrder(ctx context.Context, image *Made, s *Server) (*Placed, error)
	// CreateServer orders a server.
	CreateServer(ctx context.Context, image *Made, s *Server) (*Placed, error)
	WaitServer(ctx context.Context, id string, o softlayer.WaitOptions) (*Placed, error)
}

// A Made is an image in the cloud, possibly unfinished.
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

// String describes the image in one line.
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

// A Placed is an ordered server or a checked order.
type Placed struct {
	ID       string           `json:"-"`
	Ready    bool             `json:"ready"`           // the server is provisioned
	Quote    *softlayer.Quote `json:"quote,omitempty"` // set for a checked order that was not placed
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

// String describes the server in one line.
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
