package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
)

// note returns the note of the template, which identifies the deployment.
func (d *Deployment) note() string {
	return strings.TrimSpace("luksimg deploy " + d.ID + " " + d.Plan.Note)
}

// settled looks for the result of an earlier attempt that began at begun. It gives up when enough time has
// passed to conclude that the attempt made nothing.
func (d *Deployment) settled(ctx context.Context, begun time.Time, look func() (bool, error)) (bool, error) {
	if begun.IsZero() {
		return false, nil
	}
	for said := false; ; said = true {
		found, err := look()
		left := d.settle() - time.Since(begun)
		if found || err != nil || left <= 0 {
			return found, err
		}
		if !said {
			d.say("looking for the result of the interrupted run, for %v", left.Round(time.Second))
		}
		if err := rest.Sleep(ctx, rest.ClockOr(nil), min(d.poll(), left)); err != nil {
			return false, err
		}
	}
}

// madeNothing reports whether a call was refused and neither it nor an earlier call had an
// effect.
func madeNothing(err error) bool {
	return err != nil && rest.Refused(err) && !errors.Is(err, rest.ErrLost) && !errors.Is(err, vpc.ErrExists)
}

// taken returns the error for a name that is already in use.
func taken(name, id, flag string) error {
	return rest.WithHint(fmt.Errorf("%w: %s, %s", vpc.ErrExists, name, id), "choose another name with "+flag)
}

// importImage requests the image, unless an earlier run has done so.
func (d *Deployment) importImage(ctx context.Context, before time.Time) error {
	if err := d.checkObject(ctx); err != nil {
		return err
	}
	e, err := d.openedEnvelope()
	if err != nil {
		return err
	}
	if _, failed := d.made(); failed {
		if err := d.removeFailed(ctx); err != nil {
			return err
		}
		before = time.Time{}
	}
	if d.Cloud.UniqueNames() && d.Image == nil { // nothing was requested yet, so an image of this name is unrelated
		before = time.Time{}
		switch m, err := d.Cloud.FindImage(ctx, d.Plan.Name); {
		case err != nil:
			return err
		case m != nil:
			return taken(d.Plan.Name, m.ID, "--name")
		}
		if err := errors.Join(d.setMade(&Made{}, false), d.save()); err != nil {
			return err
		}
	}
	found, err := d.settled(ctx, before, func() (bool, error) {
		m, err := d.Cloud.FindImage(ctx, d.Plan.Name)
		if m != nil && m.ID != "" {
			err = errors.Join(err, d.setMade(m, false))
		}
		return m != nil, err
	})
	if m, _ := d.made(); err != nil || found && m.ID != "" {
		return err
	}
	r := ImageRequest{
		Name: d.Plan.Name, Note: d.note(), OSCode: d.Plan.OSCode, URI: d.Plan.Object,
		RootKeyCRN: d.Plan.RootKeyCRN, WrappedDEK: e.WDEK, Encrypted: true, CloudInit: true, BYOL: d.Plan.BYOL,
	}
	made, err := d.Cloud.CreateImage(ctx, r)
	switch {
	case made != nil:
		err = errors.Join(err, d.setMade(made, err != nil && errors.Is(err, rest.ErrFailed)))
	case madeNothing(err):
		err = errors.Join(err, d.setMade(nil, false))
		d.forget(StepImport)
	}
	if err := logImport(d.Log, r, made, err); err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

// removeFailed removes the image whose import failed, to free its name.
func (d *Deployment) removeFailed(ctx context.Context) error {
	m, _ := d.made()
	noun, _ := d.Cloud.Words()
	d.say("import: removing %s %s, whose import failed", noun, m.ID)
	if err := d.Cloud.DeleteImage(ctx, m.ID, d.poll()); err != nil {
		return err
	}
	return errors.Join(d.setMade(nil, false), d.save())
}

// waitImport waits for the image. After a failure the next run requests it again.
func (d *Deployment) waitImport(ctx context.Context, _ time.Time) error {
	m, _ := d.made()
	made, err := d.Cloud.WaitImage(ctx, m.ID, d.waiting("import"))
	switch {
	case errors.Is(err, softlayer.ErrFailed):
		d.forget(StepImport)
		return errors.Join(err, d.setMade(&m, true), d.save())
	case errors.Is(err, softlayer.ErrNotFound):
		noun, _ := d.Cloud.Words()
		d.forget(StepImport)
		return errors.Join(fmt.Errorf("the %s is gone; run the same command to request another one: %w", noun, err), d.setMade(nil, false), d.save())
	case err != nil:
		return err
	}
	d.removeImage()
	return errors.Join(d.setMade(made, false), d.o.Upload.Remove())
}

// newServers returns the servers with the name that did not exist before the order.
func (d *Deployment) newServers(ctx context.Context) ([]string, error) {
	all, err := d.Cloud.FindServers(ctx, d.o.Order)
	return slices.DeleteFunc(all, func(id string) bool {
		return slices.ContainsFunc(d.Order.Before, func(n int) bool { return strconv.Itoa(n) == id })
	}), err
}

// beginOrder records that an order begins, and which servers with its name already exist.
func (d *Deployment) beginOrder(ctx context.Context) error {
	there, err := d.Cloud.FindServers(ctx, d.o.Order)
	if err != nil {
		return err
	}
	s, o := d.o.Order, &Order{Hostname: d.o.Order.Hostname, Domain: d.o.Order.Domain}
	_, noun := d.Cloud.Words()
	for _, id := range there {
		if d.Cloud.UniqueNames() {
			return taken(s.name(), id, "--hostname")
		}
		n, err := strconv.Atoi(id)
		if err != nil {
			return fmt.Errorf("server number: %w", err)
		}
		o.Before = append(o.Before, n)
		d.warn("a %s %s already exists: %s", noun, s.name(), id)
	}
	d.Order = o
	return d.save()
}

// orderServer orders the server, unless an earlier run has done so.
func (d *Deployment) orderServer(ctx context.Context, before time.Time) error {
	if d.Order == nil {
		before = time.Time{}
		if err := d.beginOrder(ctx); err != nil {
			return err
		}
	}
	name := d.o.Order.name()
	found, err := d.settled(ctx, before, func() (bool, error) {
		ids, err := d.newServers(ctx)
		switch {
		case err != nil || len(ids) == 0:
			return false, err
		case len(ids) > 1:
			return false, fmt.Errorf("two new servers are named %s: %s and %s", name, ids[0], ids[1])
		}
		return true, d.Order.setServer(d.rules.Target, ids[0])
	})
	if found || err != nil {
		return err
	}
	m, _ := d.made()
	placed, err := d.Cloud.CreateServer(ctx, &m, d.o.Order)
	switch {
	case placed != nil:
		err = errors.Join(err, d.Order.setServer(d.rules.Target, placed.ID))
	case madeNothing(err):
		d.Order = nil
		d.forget(StepOrder)
	}
	if err := logOrder(d.Log, d.rules.Target, &m, d.o.Order, placed, map[string]any{"crkCrn": d.Plan.RootKeyCRN}, err); err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

// waitOrder waits for the server.
func (d *Deployment) waitOrder(ctx context.Context, _ time.Time) error {
	id := d.Order.server()
	_, err := d.Cloud.WaitServer(ctx, id, d.waiting("order"))
	_, noun := d.Cloud.Words()
	switch {
	case errors.Is(err, softlayer.ErrFailed):
		h := fmt.Sprintf("cancel %s %s, then run the same command to order another one", noun, id)
		if first := rest.Hint(err); first != "" {
			h = first + "; then " + h
		}
		return rest.WithHint(err, h)
	case errors.Is(err, softlayer.ErrNotFound):
		d.Order = nil
		d.forget(StepOrder)
		return errors.Join(fmt.Errorf("%s %s is gone; run the same command to order another one: %w", noun, id, err), d.save())
	}
	return err
}
