// Package deploy brings a disk to IBM Cloud as an encrypted image, and optionally orders a server
// from it. It generates a data key, wraps it with a root key, encrypts the disk, uploads the
// image, and imports it as a VPC image or a classic template.
//
// A deployment saves its [State] before and after each step. After an interruption, another run with
// the same [Plan] continues it: [Begin], then [Deployment.Run]. It repeats no completed step.
// Classic infrastructure and VPC each have a [Driver].
//
// The package prints nothing and does not read the environment. It reports progress through
// [Options.Event], and opens files only through [Options.Files].
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

// Options are the settings of a run. Plan, Source, State, Upload and Files must be set.
type Options struct {
	Plan   Plan
	Source Source
	State  cos.StateStore // the saved state, usually a [cos.StateFile]
	Upload cos.StateStore // the saved state of the upload
	Files  Files          // opens the files that Plan and KeepKey name, usually [Local]

	// Key returns the data key; nil generates one. Run wipes the returned slice.
	Key     func(ctx context.Context) ([]byte, error)
	KeepKey string // new file for the data key; "" does not store the key

	// Finished, if not nil, is an existing encrypted object. The run then skips reading, encryption and upload.
	Finished *Finished

	KeepImage bool // do not remove the encrypted image after the import
	AnyDisk   bool // accept a disk that does not look bootable
	// SkipAuthorizationCheck skips the check for the authorizations that the cloud services
	// need.
	SkipAuthorizationCheck bool

	Changed Changed // what to do if the source changed since the deployment began
	Order   *Server // the server to order; nil orders none
	Jobs    int     // number of concurrent encryption workers; zero means one per CPU
	Tool    string  // the creating program for state and envelope: "luksimg 1.0"

	// Settle is how long to look for the result of an interrupted run, and for a new
	// authorization; zero means 2 minutes.
	Settle time.Duration

	// Wait are the settings for waiting for the cloud. If its Progress is nil, Event receives the progress.
	Wait softlayer.WaitOptions

	// Event, if not nil, receives messages. It is called from the goroutine of Run.
	Event func(Event)

	// Progress, if not nil, is called when the phase "encrypt" or "upload" of total bytes
	// begins. It returns two functions. Add is called from several goroutines with the number of
	// additional bytes done; done is called at the end.
	Progress func(phase string, total int64) (add func(n int64), done func())
}

// An Event is a message for the user.
type Event struct {
	Warning bool // the message is a warning
	Text    string
}

// Changed says what to do if the source has changed since the deployment began.
type Changed string

// Policies for a changed source.
const (
	Refuse  Changed = "refuse"  // return an error; the default for ""
	Keep    Changed = "keep"    // continue with the image of the earlier contents
	Encrypt Changed = "encrypt" // encrypt the new contents
)

// Clients are the cloud clients of a run. Their identities need the permissions for all steps.
type Clients struct {
	Identity *iam.Client
	RootKey  interface { // the client for Plan.RootKeyCRN
		wrap.Wrapper
		wrap.Unwrapper
	}
	Store *cos.Client
	Cloud Driver
	Log   *audit.Logger // records the actions in the cloud; may be nil
}

// A Deployment is a deployment that [Begin] started or loaded.
type Deployment struct {
	o Options
	*State
	Clients
	rules  luksimg.Rules
	object cos.Object
}

// An InterruptedError is the error of a run that can continue when it is repeated.
type InterruptedError struct {
	Step string
	Err  error
}

func (e *InterruptedError) Error() string { return e.Step + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Hint returns advice on how to continue.
func (e *InterruptedError) Hint() string {
	h := "run the same command again to resume"
	if first := rest.Hint(e.Err); first != "" {
		h = first + "; " + h
	}
	return h
}

// Begin starts a deployment, or loads the one saved in State. It examines the source and saves the
// state, and does nothing else. The ID of the deployment serves to correlate calls and
// events.
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
	// The source is needed only until the image is encrypted.
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

// Check validates the options. [Begin] calls it first.
func (o Options) Check() error {
	switch {
	case o.Changed != "" && o.Changed != Refuse && o.Changed != Keep && o.Changed != Encrypt:
		return fmt.Errorf("--changed-source %s: want refuse, encrypt or keep", o.Changed)
	case o.Key != nil && o.KeepKey != "":
		return errors.New("--keep-key cannot be combined with --key-file")
	}
	err := o.Plan.check()
	if o.Order != nil {
		err = errors.Join(err, o.Order.Check(o.Plan.Target()))
	}
	return err
}

// goOn compares the plan of this run with the saved one.
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
		return rest.WithHint(fmt.Errorf("%s belongs to a deployment that ordered the server %s", d.o.State, d.Order.Hostname),
			"give the same --hostname and --domain to continue it; luksimg order orders more servers")
	}
	if d.done(StepWaitImport) && (d.o.Order == nil || d.done(StepWaitOrder)) {
		d.say("deploy: %s has nothing left to do", d.o.State)
	} else {
		d.say("deploy: continuing %s", d.o.State)
	}
	return nil
}

// Run executes the remaining steps and returns the result. If another run can continue after an error, the
// error is an [InterruptedError].
func (d *Deployment) Run(ctx context.Context, c Clients) (*Result, error) {
	d.Clients = c
	if want := d.rules.Target; c.Cloud.Target() != want {
		return nil, fmt.Errorf("images of profile %s are for %s, not for %s", d.Plan.Profile, want, c.Cloud.Target())
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

// sayStep reports a step. For a finished image it reports only the steps that still apply.
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

// progress starts the progress report of a phase.
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

// poll returns the polling interval.
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
