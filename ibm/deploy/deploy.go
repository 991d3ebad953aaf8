// Package deploy brings a disk to a server in IBM Cloud, encrypted: it makes a data key, has it
// wrapped by a root key, encrypts the disk, uploads the image, has the cloud make an image or a
// template of it, and orders a server from that, if that is asked for.
//
// What was done is kept in a [State], saved before and after each step, so that a run that ends
// anywhere is continued by another one with the same [Plan]: [Begin], then [Deployment.Run].
// Nothing is made twice. Classic infrastructure and VPC are two [Driver]s of one routine.
//
// The package prints nothing and reads no environment. It tells what it does by
// [Options.Event], and opens files by [Options.Files] only.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Options say what a run is to do and how. Plan, Source, State, Upload and Files must be set.
type Options struct {
	Plan   Plan
	Source Source
	State  cos.StateStore // what was done: a [cos.StateFile], as a rule
	Upload cos.StateStore // how far the upload came
	Files  Files          // has the files that Plan and KeepKey name: [Local], as a rule

	// Key gives the data key to use; nil makes a new one. The caller's slice is wiped.
	Key     func(ctx context.Context) ([]byte, error)
	KeepKey string // the name of a new file for the data key; "" keeps it on no disk

	// Finished, if not nil, is the image: nothing is read of the source, encrypted or uploaded.
	Finished *Finished

	KeepImage bool // the encrypted image is not removed when the cloud has it
	AnyDisk   bool // go on with a disk that no server seems to start from
	// SkipAuthorizationCheck goes on without looking for the authorizations that the services
	// of the cloud need.
	SkipAuthorizationCheck bool

	Changed Changed // what to do if the source changed since the deployment began
	Order   *Server // to order; nil orders none
	Jobs    int     // how many pieces are encrypted at a time; zero is one a CPU
	Tool    string  // what makes the image, for state and envelope: "luksimg 1.0"

	// Settle is how long to look for what a run that was interrupted asked for, and for an
	// authorization that was just made; zero is 2 minutes.
	Settle time.Duration

	// Wait says how to wait for the cloud. Without its Progress, Event is told how it goes.
	Wait softlayer.WaitOptions

	// Event, if not nil, is told what happens, from the goroutine that runs.
	Event func(Event)

	// Progress, if not nil, is called when bytes begin to be worked on: "encrypt" or
	// "upload", of so many in all. What it returns is called with each number of bytes
	// that was done, from several goroutines, and at the end.
	Progress func(phase string, total int64) (add func(n int64), done func())
}

// An Event is something that a person may want to know.
type Event struct {
	Warning bool // it may be wrong
	Text    string
}

// Changed says what to do if the source has changed since the deployment began.
type Changed string

// What to do about a source that changed.
const (
	Refuse  Changed = "refuse"  // it is an error; also ""
	Keep    Changed = "keep"    // go on with the image of what it was
	Encrypt Changed = "encrypt" // encrypt it anew
)

// Clients are what a run talks to. Their tokens must be of an identity that may do it.
type Clients struct {
	Identity *iam.Client
	RootKey  interface { // of Plan.RootKeyCRN
		wrap.Wrapper
		wrap.Unwrapper
	}
	Store *cos.Client
	Cloud Driver
	Log   *audit.Logger // takes what is done in the cloud; may be nil
}

// A Deployment is one that has begun.
type Deployment struct {
	o Options
	*State
	Clients
	rules  luksimg.Rules
	object cos.Object
}

// An InterruptedError ended a run that goes on when it is repeated.
type InterruptedError struct {
	Step string
	Err  error
}

func (e *InterruptedError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *InterruptedError) Hint() string {
	h := "the same command goes on where this one stopped"
	if first := rest.Hint(e.Err); first != "" {
		h = first + "; " + h
	}
	return h
}

// Begin begins a deployment, or finds the one that State is of. It looks at the source and
// saves the state, and does nothing else. The ID in what it returns is for the correlation of
// calls and events.
func Begin(ctx context.Context, o Options) (*Deployment, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	d := &Deployment{o: o, rules: o.Plan.rules()}
	if o.Order != nil && d.rules.Target == VPC {
		s := *o.Order
		s.Domain = ""
		d.o.Order = &s
	}
	var err error
	if d.object, err = cos.ParseURI(o.Plan.Object); err == nil {
		err = d.object.CheckImages()
	}
	if err != nil {
		return nil, err
	}
	if d.State, err = loadState(o.State); err != nil {
		return nil, err
	}
	plan := o.Plan
	// The source is needed until it was encrypted. Later it may be gone.
	stamp, err := o.Source.Stat(ctx)
	switch {
	case err == nil:
		plan.SourceSize, plan.SourceTime, plan.SourceETag, plan.SourceSum = stamp.Size, stamp.Time.UTC(), stamp.ETag, stamp.Checksum
	case d.State != nil && d.done(StepEncrypt) && !d.Anew && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, cos.ErrNotFound)):
		plan.takeSource(d.Plan)
	default:
		return nil, err
	}
	if d.State == nil || !d.keyed() && (len(d.Plan.differs(plan)) > 0 || !d.Plan.sameSource(plan)) {
		d.State = newState(o.State, o.Tool, plan)
		return d, d.save()
	}
	return d, d.goOn(plan)
}

// Check looks at the options, as [Begin] does first.
func (o Options) Check() error {
	switch {
	case o.Changed != "" && o.Changed != Refuse && o.Changed != Keep && o.Changed != Encrypt:
		return fmt.Errorf("--changed-source %s: want refuse, encrypt or keep", o.Changed)
	case o.Key != nil && o.KeepKey != "":
		return errors.New("a key that is given is not kept too")
	}
	err := o.Plan.check()
	if o.Order != nil {
		err = errors.Join(err, o.Order.Check(o.Plan.Target()))
	}
	return err
}

// goOn compares the plan of this run with that of the one that began.
func (d *Deployment) goOn(plan Plan) error {
	if names := d.Plan.differs(plan); len(names) > 0 {
		return differs(d.o.State, names)
	}
	if !d.Plan.sameSource(plan) {
		if err := d.changedSource(plan); err != nil {
			return err
		}
	}
	if s := d.o.Order; s != nil && d.Order != nil && (d.Order.Hostname != s.Hostname || d.Order.Domain != "" && d.Order.Domain != s.Domain) {
		return rest.WithHint(fmt.Errorf("%s is of a deployment that ordered the server %s", d.o.State, d.Order.Hostname),
			"give the same --hostname and --domain to go on with it; luksimg order orders more servers")
	}
	if d.done(StepWaitImport) && (d.o.Order == nil || d.done(StepWaitOrder)) {
		d.say("deploy: %s has nothing left to do", d.o.State)
	} else {
		d.say("deploy: goes on with %s", d.o.State)
	}
	return nil
}

// Run does what is left to do, and returns what there is then. An error that repeating the run
// may mend is an [InterruptedError].
func (d *Deployment) Run(ctx context.Context, c Clients) (*Result, error) {
	d.Clients = c
	if want := d.rules.Target; c.Cloud.Target() != want {
		return nil, fmt.Errorf("images of profile %s are for %s, and not for %s", d.Plan.Profile, want, c.Cloud.Target())
	}
	if d.Anew {
		if err := d.startAnew(ctx); err != nil {
			return nil, err
		}
	}
	for _, s := range []struct {
		name string
		do   func(ctx context.Context, before time.Time) error
	}{
		{StepCheck, d.check}, {StepKey, d.makeKey}, {StepEncrypt, d.encrypt}, {StepUpload, d.upload},
		{StepImport, d.importImage}, {StepWaitImport, d.waitImport}, {StepOrder, d.orderServer}, {StepWaitOrder, d.waitOrder},
	} {
		if d.done(s.name) || d.o.Order == nil && (s.name == StepOrder || s.name == StepWaitOrder) {
			continue
		}
		before, err := d.begin(s.name)
		if err == nil {
			d.sayStep(s.name)
			err = s.do(ctx, before)
		}
		if err == nil {
			err = d.end(s.name)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil, rest.Temporary(err) && !rest.Refused(err):
			return nil, &InterruptedError{s.name, err}
		default:
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return d.result(), nil
}

// sayStep tells of a step; of an image that is finished only what is done of it.
func (d *Deployment) sayStep(name string) {
	if d.o.Finished != nil {
		switch name {
		case StepKey:
			name = "take the wrapped key of the job"
		case StepEncrypt:
			return
		case StepUpload:
			name = "find the image of the job"
		}
	}
	d.say("deploy: %s", name)
}

func (d *Deployment) tell(warning bool, format string, args ...any) {
	CallOptions{Event: d.o.Event}.tell(warning, format, args...)
}

func (d *Deployment) say(format string, args ...any)  { d.tell(false, format, args...) }
func (d *Deployment) warn(format string, args ...any) { d.tell(true, format, args...) }

// progress begins to tell how a phase goes.
func (d *Deployment) progress(phase string, total int64) (add func(int64), done func()) {
	if d.o.Progress == nil {
		return nil, func() {}
	}
	return d.o.Progress(phase, total)
}

// waiting returns the options to wait for what.
func (d *Deployment) waiting(what string) softlayer.WaitOptions {
	return CallOptions{Wait: d.o.Wait, Event: d.o.Event}.waiting(what)
}

// poll is how long to wait between two looks.
func (d *Deployment) poll() time.Duration {
	if d.o.Wait.Interval <= 0 {
		return 10 * time.Second
	}
	return d.o.Wait.Interval
}

func (d *Deployment) settle() time.Duration {
	if d.o.Settle <= 0 {
		return 2 * time.Minute
	}
	return d.o.Settle
}
