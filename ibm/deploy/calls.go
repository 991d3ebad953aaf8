package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

// CallOptions are the settings of [ImportImage], [OrderServer] and [ExportTemplate]. The zero value waits for
// completion.
type CallOptions struct {
	NoWait bool                  // return when the cloud has accepted the request
	Wait   softlayer.WaitOptions // if Progress is nil, Event receives the progress
	Event  func(Event)           // receives progress messages; may be nil
	Log    *audit.Logger         // records the actions in the cloud; may be nil
}

func (o CallOptions) tell(warning bool, format string, args ...any) {
	if o.Event != nil {
		o.Event(Event{warning, fmt.Sprintf(format, args...)})
	}
}

// sayAgain is the interval at which an unfinished step is reported again.
const sayAgain = 5 * time.Minute

// waiting returns the options to wait for what. They report each step when it begins, and then every
// five minutes.
func (o CallOptions) waiting(what string) softlayer.WaitOptions {
	w, last, next := o.Wait, "", sayAgain
	if w.Progress == nil {
		w.Progress = func(p softlayer.Progress) {
			now := cmp.Or(p.Step, p.Status)
			if p.Detail != "" && p.Detail != now {
				now = strings.TrimPrefix(now+": "+p.Detail, ": ")
			}
			if now == "" || now == last && p.Elapsed < next {
				return
			}
			last, next = now, p.Elapsed+sayAgain
			o.tell(false, "%s: %s (%v)", what, now, p.Elapsed.Round(time.Second))
		}
	}
	return w
}

// An Imported is the result of [ImportImage].
type Imported struct {
	Target string `json:"target"` // [Classic] or [VPC]
	Object string `json:"object"`
	*Made
}

// ImportImage imports an object as an image. If the note of an existing image shows that an earlier
// run of the same import created it, ImportImage returns that image; see [softlayer.Client.Import].
func ImportImage(ctx context.Context, d Driver, r ImageRequest, o CallOptions) (*Imported, error) {
	r, err := r.Complete()
	if err == nil {
		err = r.Check(d.Target())
	}
	if err != nil {
		return nil, err
	}
	made, err := d.CreateImage(ctx, r)
	if err := logImport(o.Log, r, made, err); err != nil {
		return nil, err
	}
	noun, _ := d.Words()
	o.tell(false, "import: %s %s accepted", noun, made.ID)
	if !o.NoWait {
		if made, err = d.WaitImage(ctx, made.ID, o.waiting("import")); err != nil {
			return nil, err
		}
	}
	return &Imported{Target: d.Target(), Object: r.URI, Made: made}, nil
}

// logImport logs an import request. It returns err joined with the error of logging.
func logImport(log *audit.Logger, r ImageRequest, made *Made, err error) error {
	target, details := r.Name, map[string]any{"uri": r.URI, "crkCrn": r.RootKeyCRN, "name": r.Name}
	if made != nil {
		details["image"] = made.ID
		if target = made.GlobalIdentifier; target == "" {
			target = made.ID
		}
	}
	return log.Did(audit.ActionImport, target, details, err)
}

// An Ordered is the result of [OrderServer]: an ordered server, or a checked order.
type Ordered struct {
	Target string `json:"target"` // [Classic] or [VPC]
	DryRun bool   `json:"dry_run"`
	*Placed

	server, image string
}

// String describes the result in one line.
func (o *Ordered) String() string {
	if q := o.Quote; q != nil {
		return fmt.Sprintf("would order %s from %s: %.3f an hour, %.2f a month", o.server, o.image, q.Hourly, q.Monthly)
	}
	return o.Placed.String()
}

// OrderServer orders a server from an image, given by its name, number or ID. This
// costs money. With dryRun the cloud only checks the order; VPC returns [ErrNoDryRun].
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
	if err := logOrder(o.Log, d.Target(), img, s, r.Placed, nil, err); err != nil {
		return nil, err
	}
	_, noun := d.Words()
	o.tell(false, "order: %s %s ordered", noun, r.ID)
	if !o.NoWait {
		r.Placed, err = d.WaitServer(ctx, r.ID, o.waiting("order"))
	}
	return r, err
}

// logOrder logs an order. It returns err joined with the error of logging.
func logOrder(log *audit.Logger, target string, image *Made, s *Server, placed *Placed, more map[string]any, err error) error {
	details, name := map[string]any{"imageTemplate": image.GlobalIdentifier, "datacenter": s.Datacenter}, s.name()
	if target == VPC {
		details, name = map[string]any{"image": image.ID, "zone": s.Zone}, s.Hostname
	}
	if placed != nil {
		details["server"] = placed.ID
	}
	maps.Copy(details, more)
	return log.Did(audit.ActionOrder, name, details, err)
}
