package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/output"
)

// deployVersion changes when a member changes its meaning. New members do not change it.
const deployVersion = 1

// A deployState is what a deployment has done so far. It holds no secret. It is saved
// before and after each step, so that a run that ends anywhere can be continued.
type deployState struct {
	Version int        `json:"version"`
	ID      string     `json:"id"` // also in the note of the template, and the correlation of all calls
	Tool    string     `json:"tool"`
	Plan    deployPlan `json:"plan"`
	Steps   []stepTime `json:"steps"`

	WDEK           string        `json:"wdek,omitempty"` // as in the envelope
	KeyFingerprint string        `json:"key_fingerprint,omitempty"`
	KeyGiven       bool          `json:"key_given,omitempty"` // it was not made here
	ImageUUID      string        `json:"image_uuid"`          // chosen before the image is made, so that it is known again
	ImageSize      int64         `json:"image_size,omitempty"`
	ETag           string        `json:"etag,omitempty"`     // of the object
	Template       *templateMade `json:"template,omitempty"` // in classic infrastructure
	Image          *imageMade    `json:"image,omitempty"`    // in VPC
	Order          *orderPlaced  `json:"order,omitempty"`

	Anew     bool   `json:"anew,omitempty"`     // what was made of a source that changed is to be removed first
	Replaces string `json:"replaces,omitempty"` // the ETag of such an object

	store cos.StateFile
}

// A deployPlan is what must not change between runs of one deployment.
type deployPlan struct {
	Source     string    `json:"source"`
	SourceSize int64     `json:"source_size"`
	SourceTime time.Time `json:"source_time,omitzero"`
	SourceETag string    `json:"source_etag,omitempty"` // of an object
	Profile    string    `json:"profile"`
	Image      string    `json:"image"`
	Envelope   string    `json:"envelope"`
	Object     string    `json:"object"`
	RootKeyCRN string    `json:"root_key_crn"`
	Name       string    `json:"name"`
	Note       string    `json:"note"`
	OSCode     string    `json:"os_code"`
	BYOL       bool      `json:"byol"`
}

// A stepTime is when a step began last, and when it was done.
type stepTime struct {
	Step  string    `json:"step"`
	Begun time.Time `json:"begun"`
	Done  time.Time `json:"done,omitzero"`
}

// A templateMade is the template, from when it is known.
type templateMade struct {
	ID               int    `json:"id"`
	GlobalIdentifier string `json:"global_identifier"`
	Failed           bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An imageMade is an image in VPC, where names are unique: from before it was asked for, when
// there was none of the name.
type imageMade struct {
	ID     string `json:"id,omitempty"`
	Failed bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An orderPlaced is a server, from before it was ordered.
type orderPlaced struct {
	Hostname string `json:"hostname"`
	Domain   string `json:"domain,omitempty"`
	Before   []int  `json:"before,omitempty"` // servers of that name that were there before
	ID       int    `json:"id,omitempty"`
	Instance string `json:"instance,omitempty"` // in VPC
}

// stateHook is called before a state is saved, and after it was.
var stateHook = func(s *deployState, saved bool) {}

// save writes the state to its file, as a whole or not at all.
func (s *deployState) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	stateHook(s, false)
	if err := s.store.Save(append(b, '\n')); err != nil {
		return fmt.Errorf("state of the deployment: %w", err)
	}
	stateHook(s, true)
	return nil
}

// loadState returns the state of an earlier run, nil if there is none.
func loadState(name string) (*deployState, error) {
	store := cos.StateFile(name)
	b, err := store.Load()
	if err != nil || b == nil {
		return nil, err
	}
	s := &deployState{store: store}
	d := json.NewDecoder(bytes.NewReader(b))
	err = d.Decode(s)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("more than one object")
	}
	if err == nil && s.Version != deployVersion {
		err = fmt.Errorf("version %d, and %d is known here", s.Version, deployVersion)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, withHint(fmt.Errorf("%s: not the state of a deployment: %w", name, err), "name another file with --state")
	}
	return s, nil
}

// check tells whether what later steps need of those that were done is there.
func (s *deployState) check() error {
	_, known := deployKinds[s.Plan.Profile]
	switch {
	case uuid.Validate(s.ID) != nil || uuid.Validate(s.ImageUUID) != nil:
		return errors.New("it has no id")
	case !known:
		return fmt.Errorf("its profile is %q", s.Plan.Profile)
	case s.done(stepKey) && s.WDEK == "",
		s.done(stepEncrypt) && s.ImageSize <= 0,
		s.done(stepImport) && (s.Template == nil || s.Template.ID <= 0) && (s.Image == nil || s.Image.ID == ""),
		s.done(stepOrder) && (s.Order == nil || s.Order.ID <= 0 && s.Order.Instance == ""):
		return errors.New("a step was done, and its result is not there")
	case deployKinds[s.Plan.Profile].target == targetVPC && s.Template != nil,
		deployKinds[s.Plan.Profile].target == targetClassic && s.Image != nil:
		return errors.New("it is of both clouds")
	}
	return nil
}

// newState returns the state of a deployment that begins.
func newState(name string, plan deployPlan) *deployState {
	return &deployState{
		Version: deployVersion, ID: uuid.NewString(), Tool: "luksimg " + readVersion().Version,
		Plan: plan, ImageUUID: uuid.NewString(), store: cos.StateFile(name),
	}
}

// differs tells which parts of a plan are not those of the run that began, besides the
// source, which may change in place: see sameSource.
func (p deployPlan) differs(q deployPlan) []string {
	var names []string
	p.takeSource(q)
	a, b := reflect.ValueOf(p), reflect.ValueOf(q)
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			names = append(names, a.Type().Field(i).Tag.Get("json"))
		}
	}
	return names
}

// takeSource takes from another plan what the source was like.
func (p *deployPlan) takeSource(q deployPlan) {
	p.SourceSize, p.SourceTime, p.SourceETag = q.SourceSize, q.SourceTime, q.SourceETag
}

// sameSource tells whether the source is what it was, as far as its size, its time and,
// for an object, its ETag tell.
func (p deployPlan) sameSource(q deployPlan) bool {
	return p.SourceSize == q.SourceSize && p.SourceTime.Equal(q.SourceTime) && p.SourceETag == q.SourceETag
}

func (s *deployState) step(name string) *stepTime {
	i := slices.IndexFunc(s.Steps, func(t stepTime) bool { return t.Step == name })
	if i < 0 {
		return nil
	}
	return &s.Steps[i]
}

// done tells whether a step was done.
func (s *deployState) done(name string) bool {
	t := s.step(name)
	return t != nil && !t.Done.IsZero()
}

// begin records that a step begins, and returns when it began in an earlier run: zero if
// it did not.
func (s *deployState) begin(name string) (before time.Time, err error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if t := s.step(name); t != nil {
		before, t.Begun = t.Begun, now
	} else {
		s.Steps = append(s.Steps, stepTime{Step: name, Begun: now})
	}
	return before, s.save()
}

// end records that a step is done.
func (s *deployState) end(name string) error {
	s.step(name).Done = time.Now().UTC().Truncate(time.Millisecond)
	return s.save()
}

// lockDeploy keeps other runs from working on the same deployment until the returned
// function is called.
func lockDeploy(state string) (unlock func(), err error) {
	unlock, err = output.LockName(state + ".lock")
	if errors.Is(err, output.ErrLocked) {
		err = withHint(fmt.Errorf("%s: another process works on this deployment", state), "wait until it has ended")
	}
	return unlock, err
}
