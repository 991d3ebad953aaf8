package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/softlayer"

	"github.com/luksimg/luksimg/internal/rest"
)

// note is the note of the template, by which it is known again.
func (d *deployment) note() string {
	return strings.TrimSpace("luksimg deploy " + d.ID + " " + d.Plan.Note)
}

// settled looks for what an earlier attempt at begun may have made, until it is found or it
// can be told that nothing was.
func (d *deployment) settled(ctx context.Context, begun time.Time, look func() (bool, error)) (bool, error) {
	if begun.IsZero() {
		return false, nil
	}
	for said := false; ; said = true {
		found, err := look()
		left := d.cloud.settle - time.Since(begun)
		if found || err != nil || left <= 0 {
			return found, err
		}
		if !said {
			d.t.say("looking for what the interrupted run asked for, for %v", left.Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(min(d.wait.poll, left)):
		}
	}
}

// forget makes a step one that never began: it was refused, and made nothing.
func (s *deployState) forget(name string) {
	s.Steps = slices.DeleteFunc(s.Steps, func(t stepTime) bool { return t.Step == name })
}

// importImage asks for the template, unless an earlier run has done so.
func (d *deployment) importImage(ctx context.Context, before time.Time) error {
	if err := d.checkObject(ctx); err != nil {
		return err
	}
	e, err := d.openedEnvelope()
	if err != nil {
		return err
	}
	key, err := d.handover.read()
	if err != nil {
		return err
	}
	defer clear(key)
	d.log.AddSecret(string(key))
	if d.Template != nil && d.Template.Failed {
		if err := d.removeTemplate(ctx); err != nil {
			return err
		}
		before = time.Time{}
	}
	if _, err := d.settled(ctx, before, func() (bool, error) {
		_, err := d.classic.FindTemplate(ctx, d.Plan.Name)
		if errors.Is(err, softlayer.ErrNotFound) {
			return false, nil
		}
		return err == nil || errors.Is(err, softlayer.ErrAmbiguous), ignore(err, softlayer.ErrAmbiguous)
	}); err != nil {
		return err
	}
	// Import takes a template of this name and note for the one that it is to make.
	made, err := d.classic.Import(ctx, softlayer.ImportRequest{
		Name: d.Plan.Name, Note: d.note(), OSCode: d.Plan.OSCode, URI: d.Plan.Object, APIKey: string(key),
		RootKeyCRN: d.Plan.RootKeyCRN, WrappedDEK: e.WDEK, CloudInit: true, BYOL: d.Plan.BYOL, Encrypted: true,
	})
	if f := new(softlayer.TransactionError); errors.As(err, &f) { // that of an earlier run
		d.Template = &templateMade{ID: f.ID, Failed: true}
	} else if err != nil && rest.Refused(err) {
		d.forget(stepImport)
	}
	target := d.Plan.Name
	if made != nil {
		target = made.GlobalIdentifier
		d.Template = &templateMade{ID: made.ID, GlobalIdentifier: made.GlobalIdentifier}
	}
	err = d.log.Did(audit.ActionImport, target, map[string]any{"uri": d.Plan.Object, "crkCrn": d.Plan.RootKeyCRN, "name": d.Plan.Name}, err)
	if err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// removeTemplate removes the template of an import that failed, which has the name.
func (d *deployment) removeTemplate(ctx context.Context) error {
	d.t.say("import: removing template %d, whose import failed", d.Template.ID)
	if err := d.classic.Delete(ctx, d.Template.ID); err != nil && !errors.Is(err, softlayer.ErrNotFound) {
		return err
	}
	d.Template = nil
	return d.save()
}

// waitImport waits for the template. If it failed, the next run asks for it again.
func (d *deployment) waitImport(ctx context.Context, _ time.Time) error {
	made, err := d.classic.WaitImport(ctx, d.Template.ID, d.wait.options(d.t, "import"))
	switch {
	case errors.Is(err, softlayer.ErrFailed):
		d.Template.Failed = true
		d.forget(stepImport)
		return errors.Join(err, d.save())
	case errors.Is(err, softlayer.ErrNotFound):
		d.Template = nil
		d.forget(stepImport)
		return errors.Join(fmt.Errorf("the template is gone, and the same command asks for another one: %w", err), d.save())
	case err != nil:
		return err
	}
	d.Template.GlobalIdentifier = made.GlobalIdentifier
	d.removeImage()
	return d.uploadState().Remove()
}

// newServers returns the servers of the name that were not there before the order.
func (d *deployment) newServers(ctx context.Context) ([]softlayer.Guest, error) {
	all, err := d.classic.Servers(ctx, d.Order.Hostname, d.Order.Domain)
	return slices.DeleteFunc(all, func(g softlayer.Guest) bool { return slices.Contains(d.Order.Before, g.ID) }), err
}

// placeOrder orders the server, unless an earlier run has done so.
func (d *deployment) placeOrder(ctx context.Context, before time.Time) error {
	r, err := d.server.request()
	if err != nil {
		return err
	}
	r.Template = d.Template.GlobalIdentifier
	if d.Order == nil {
		there, err := d.classic.Servers(ctx, r.Hostname, r.Domain)
		if err != nil {
			return err
		}
		d.Order = &orderPlaced{Hostname: r.Hostname, Domain: r.Domain, Before: []int{}}
		for _, g := range there {
			d.Order.Before = append(d.Order.Before, g.ID)
			d.t.warn("there is a server %s.%s already: %d", g.Hostname, g.Domain, g.ID)
		}
		before = time.Time{}
		if err := d.save(); err != nil {
			return err
		}
	}
	found, err := d.settled(ctx, before, func() (bool, error) {
		servers, err := d.newServers(ctx)
		if len(servers) == 1 {
			d.Order.ID = servers[0].ID
		}
		if len(servers) > 1 {
			err = fmt.Errorf("more than one server %s.%s is new: %d and %d", r.Hostname, r.Domain, servers[0].ID, servers[1].ID)
		}
		return len(servers) == 1, err
	})
	if found || err != nil {
		return err
	}
	g, err := d.classic.Order(ctx, r)
	if g != nil {
		d.Order.ID = g.ID
	}
	if err != nil && rest.Refused(err) && !errors.Is(err, softlayer.ErrLost) {
		d.Order = nil
		d.forget(stepOrder)
	}
	err = d.log.Did(audit.ActionOrder, r.Hostname+"."+r.Domain, map[string]any{"imageTemplate": r.Template, "crkCrn": d.Plan.RootKeyCRN, "datacenter": r.Datacenter}, err)
	if err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

// waitOrder waits for the server.
func (d *deployment) waitOrder(ctx context.Context, _ time.Time) error {
	_, err := d.classic.WaitOrder(ctx, d.Order.ID, d.wait.options(d.t, "order"))
	switch id := d.Order.ID; {
	case errors.Is(err, softlayer.ErrFailed):
		h := fmt.Sprintf("cancel server %d, and the same command orders another one", id)
		if first := hint(err); first != "" {
			h = first + "; then " + h
		}
		return withHint(err, h)
	case errors.Is(err, softlayer.ErrNotFound):
		d.Order = nil
		d.forget(stepOrder)
		return errors.Join(fmt.Errorf("server %d is gone, and the same command orders another one: %w", id, err), d.save())
	}
	return err
}
