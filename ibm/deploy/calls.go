package deploy

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

// CallOptions say how [ImportImage], [OrderServer] and [ExportTemplate] go. The zero value waits until what was
// asked for is there.
type CallOptions struct {
	NoWait bool                  // return when the cloud has accepted it
	Wait   softlayer.WaitOptions // without Progress, Event is told how it goes
	Event  func(Event)           // is told what happens, if it is not nil
	Log    *audit.Logger         // takes what is done in the cloud; may be nil
}

func (o CallOptions) tell(warning bool, format string, args ...any) {
	if o.Event != nil {
		o.Event(Event{warning, fmt.Sprintf(format, args...)})
	}
}

// waiting returns the options to wait for what, each step of which is told once.
func (o CallOptions) waiting(what string) softlayer.WaitOptions {
	w, last := o.Wait, ""
	if w.Progress == nil {
		w.Progress = func(p softlayer.Progress) {
			now := p.Step
			if now == "" {
				now = p.Status
			}
			if p.Detail != "" && p.Detail != now {
				now = strings.TrimPrefix(now+": "+p.Detail, ": ")
			}
			if now != "" && now != last {
				last = now
				o.tell(false, "%s: %s (%v)", what, now, p.Elapsed.Round(time.Second))
			}
		}
	}
	return w
}

// An Imported is the image that [ImportImage] has made.
type Imported struct {
	Target string `json:"target"` // [Classic] or [VPC]
	Object string `json:"object"`
	*Made
}

// ImportImage makes an image of an object. An image of an earlier call that was the same is taken
// for it, where notes tell so; see [softlayer.Client.Import].
func ImportImage(ctx context.Context, d Driver, r ImageRequest, o CallOptions) (*Imported, error) {
	r, err := r.Complete()
	if err != nil {
		return nil, err
	}
	made, err := d.CreateImage(ctx, r)
	if err := logImport(o.Log, r, made, err); err != nil {
		return nil, err
	}
	noun, _ := d.Words()
	o.tell(false, "import: %s %s was accepted", noun, made.ID)
	if !o.NoWait {
		if made, err = d.WaitImage(ctx, made.ID, o.waiting("import")); err != nil {
			return nil, err
		}
	}
	return &Imported{Target: d.Target(), Object: r.URI, Made: made}, nil
}

// logImport logs that an image was asked for, and returns err, or that of the log.
func logImport(log *audit.Logger, r ImageRequest, made *Made, err error) error {
	target := r.Name
	if made != nil {
		if target = made.GlobalIdentifier; target == "" {
			target = made.ID
		}
	}
	return log.Did(audit.ActionImport, target, map[string]any{"uri": r.URI, "crkCrn": r.RootKeyCRN, "name": r.Name}, err)
}

// An Ordered is the server that [OrderServer] has ordered, or whose order it had checked.
type Ordered struct {
	Target string `json:"target"` // [Classic] or [VPC]
	DryRun bool   `json:"dry_run"`
	*Placed

	server, image string
}

// String tells what it is, in one line.
func (o *Ordered) String() string {
	if q := o.Quote; q != nil {
		return fmt.Sprintf("would order %s from %s: %.3f an hour, %.2f a month", o.server, o.image, q.Hourly, q.Monthly)
	}
	return o.Placed.String()
}

// OrderServer orders a server from an image, by its name or what else the cloud knows it by. This
// costs money. With dryRun the order is only checked, which VPC can not.
func OrderServer(ctx context.Context, d Driver, image string, s *Server, dryRun bool, o CallOptions) (*Ordered, error) {
	if err := s.Check(d.Target()); err != nil {
		return nil, err
	}
	img, err := d.Image(ctx, image)
	if err != nil {
		return nil, err
	}
	r := &Ordered{Target: d.Target(), DryRun: dryRun, server: s.name(), image: img.name()}
	if dryRun {
		r.Placed, err = d.CheckOrder(ctx, img, s)
		return r, err
	}
	r.Placed, err = d.CreateServer(ctx, img, s)
	if err := logOrder(o.Log, d.Target(), img, s, nil, err); err != nil {
		return nil, err
	}
	_, noun := d.Words()
	o.tell(false, "order: %s %s was ordered", noun, r.ID)
	if !o.NoWait {
		r.Placed, err = d.WaitServer(ctx, r.ID, o.waiting("order"))
	}
	return r, err
}

// logOrder logs that a server was ordered, and returns err, or that of the log.
func logOrder(log *audit.Logger, target string, image *Made, s *Server, more map[string]any, err error) error {
	details, name := map[string]any{"imageTemplate": image.GlobalIdentifier, "datacenter": s.Datacenter}, s.name()
	if target == VPC {
		details, name = map[string]any{"image": image.ID, "zone": s.Zone}, s.Hostname
	}
	maps.Copy(details, more)
	return log.Did(audit.ActionOrder, name, details, err)
}

// actionExport is the action of an export in the log of our own actions.
const actionExport = "luksimg.image.export"

// An Exported is the copy of a template in Object Storage.
type Exported struct {
	TemplateID int    `json:"template_id"`
	Template   string `json:"template"` // its name
	Object     string `json:"object"`
	First      string `json:"first_disk"` // the object of the first disk
	Ready      bool   `json:"ready"`
}

// String tells what it is, in one line.
func (e *Exported) String() string {
	return fmt.Sprintf("%s: of template %d, %s", e.First, e.TemplateID, e.Template)
}

// ExportTemplate has classic infrastructure copy a template, by its number, global identifier or name,
// to an object for each of its disks. apiKey is what the cloud writes them with.
func ExportTemplate(ctx context.Context, c *softlayer.Client, template string, to cos.Object, apiKey []byte, o CallOptions) (*Exported, error) {
	t, err := c.LookUp(ctx, template)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(t.Name, "/?#%&+ ") {
		o.tell(true, "the name of the template, %q, has characters that mean something in addresses: the export may fail", t.Name)
	}
	err = c.Export(ctx, softlayer.ExportRequest{TemplateID: t.ID, URI: to.String(), APIKey: string(apiKey)})
	if err := o.Log.Did(actionExport, t.GlobalIdentifier, map[string]any{"uri": to.String()}, err); err != nil {
		return nil, err
	}
	o.tell(false, "export: of template %d to %s was accepted", t.ID, to)
	if !o.NoWait {
		if _, err := c.WaitImport(ctx, t.ID, o.waiting("export")); err != nil {
			return nil, err
		}
	}
	return &Exported{TemplateID: t.ID, Template: t.Name, Object: to.String(), First: firstDisk(to).String(), Ready: !o.NoWait}, nil
}

// firstDisk returns the object of the first disk of an export: of image.vhd, image-0.vhd.
func firstDisk(o cos.Object) cos.Object {
	if i := strings.LastIndexByte(o.Key, '.'); i > strings.LastIndexByte(o.Key, '/') {
		o.Key = o.Key[:i] + "-0" + o.Key[i:]
	} else {
		o.Key += "-0"
	}
	return o
}
