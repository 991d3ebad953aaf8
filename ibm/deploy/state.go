package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest"
)

// The steps of a deployment, in order.
const (
	StepCheck      = "check"
	StepKey        = "key"
	StepEncrypt    = "encrypt"
	StepUpload     = "upload"
	StepImport     = "import"
	StepWaitImport = "wait for import"
	StepOrder      = "order"
	StepWaitOrder  = "wait for server"
)

// stateVersion changes when a member changes its meaning. New members do not change it.
const stateVersion = 1

// A State is what a deployment has done so far. It holds no secret. It is saved
// before and after each step, so that a run that ends anywhere can be continued.
type State struct {
	Version int        `json:"version"`
	ID      string     `json:"id"` // also in the note of the template, and the correlation of all calls
	Tool    string     `json:"tool"`
	Plan    Plan       `json:"plan"`
	Steps   []StepTime `json:"steps"`

	WDEK           string    `json:"wdek,omitempty"` // as in the envelope
	KeyFingerprint string    `json:"key_fingerprint,omitempty"`
	KeyGiven       bool      `json:"key_given,omitempty"` // it was not made here
	ImageUUID      string    `json:"image_uuid"`          // chosen before the image is made, so that it is known again
	ImageSize      int64     `json:"image_size,omitempty"`
	ETag           string    `json:"etag,omitempty"`     // of the object
	Template       *Template `json:"template,omitempty"` // in classic infrastructure
	Image          *Image    `json:"image,omitempty"`    // in VPC
	Order          *Order    `json:"order,omitempty"`

	Anew     bool   `json:"anew,omitempty"`     // what was made of a source that changed is to be removed first
	Replaces string `json:"replaces,omitempty"` // the ETag of such an object

	store cos.StateStore
}

// A StepTime is when a step began last, and when it was done.
type StepTime struct {
	Step  string    `json:"step"`
	Begun time.Time `json:"begun"`
	Done  time.Time `json:"done,omitzero"`
}

// A Template is the template, from when it is known.
type Template struct {
	ID               int    `json:"id"`
	GlobalIdentifier string `json:"global_identifier"`
	Failed           bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An Image is an image in VPC, where names are unique: from before it was asked for, when
// there was none of the name.
type Image struct {
	ID     string `json:"id,omitempty"`
	Failed bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An Order is a server, from before it was ordered.
type Order struct {
	Hostname string `json:"hostname"`
	Domain   string `json:"domain,omitempty"`
	Before   []int  `json:"before,omitempty"` // servers of that name that were there before
	ID       int    `json:"id,omitempty"`
	Instance string `json:"instance,omitempty"` // in VPC
}

// save writes the state to its file, as a whole or not at all.
func (s *State) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := s.store.Save(append(b, '\n')); err != nil {
		return fmt.Errorf("state of the deployment: %w", err)
	}
	return nil
}

// loadState returns the state of an earlier run, nil if there is none.
func loadState(store cos.StateStore) (*State, error) {
	b, err := store.Load()
	if err != nil || b == nil {
		return nil, err
	}
	s := &State{store: store}
	d := json.NewDecoder(bytes.NewReader(b))
	err = d.Decode(s)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("more than one object")
	}
	if err == nil && s.Version != stateVersion {
		err = fmt.Errorf("version %d, and %d is known here", s.Version, stateVersion)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, rest.WithHint(fmt.Errorf("%s: not the state of a deployment: %w", store, err), "name another file with --state")
	}
	return s, nil
}

// check tells whether what later steps need of those that were done is there.
func (s *State) check() error {
	switch {
	case uuid.Validate(s.ID) != nil || uuid.Validate(s.ImageUUID) != nil:
		return errors.New("it has no id")
	case s.Plan.Target() == "":
		return fmt.Errorf("its profile is %q", s.Plan.Profile)
	case s.done(StepKey) && s.WDEK == "",
		s.done(StepEncrypt) && s.ImageSize <= 0,
		s.done(StepImport) && (s.Template == nil || s.Template.ID <= 0) && (s.Image == nil || s.Image.ID == ""),
		s.done(StepOrder) && (s.Order == nil || s.Order.ID <= 0 && s.Order.Instance == ""):
		return errors.New("a step was done, and its result is not there")
	case s.Plan.Target() == VPC && s.Template != nil,
		s.Plan.Target() == Classic && s.Image != nil:
		return errors.New("it is of both clouds")
	}
	return nil
}

// newState returns the state of a deployment that begins.
func newState(store cos.StateStore, tool string, plan Plan) *State {
	return &State{Version: stateVersion, ID: uuid.NewString(), Tool: tool, Plan: plan, ImageUUID: uuid.NewString(), store: store}
}

func (s *State) step(name string) *StepTime {
	i := slices.IndexFunc(s.Steps, func(t StepTime) bool { return t.Step == name })
	if i < 0 {
		return nil
	}
	return &s.Steps[i]
}

// done tells whether a step was done.
func (s *State) done(name string) bool {
	t := s.step(name)
	return t != nil && !t.Done.IsZero()
}

// keyed tells whether a key was made, or may have been, and what comes after it. Before, the
// source was only looked at, and nothing keeps another one from taking its place.
func (s *State) keyed() bool {
	return s.step(StepKey) != nil || s.Anew || s.Replaces != "" || s.ETag != ""
}

// begin records that a step begins, and returns when it began in an earlier run: zero if
// it did not.
func (s *State) begin(name string) (before time.Time, err error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if t := s.step(name); t != nil {
		before, t.Begun = t.Begun, now
	} else {
		s.Steps = append(s.Steps, StepTime{Step: name, Begun: now})
	}
	return before, s.save()
}

// end records that a step is done.
func (s *State) end(name string) error {
	s.step(name).Done = time.Now().UTC().Truncate(time.Millisecond)
	return s.save()
}

// forget makes a step one that never began: it was refused, and made nothing.
func (s *State) forget(name string) {
	s.Steps = slices.DeleteFunc(s.Steps, func(t StepTime) bool { return t.Step == name })
}

// made returns the image in the cloud, and whether it failed.
func (s *State) made() (m Made, failed bool) {
	switch {
	case s.Template != nil:
		return Made{ID: strconv.Itoa(s.Template.ID), GlobalIdentifier: s.Template.GlobalIdentifier}, s.Template.Failed
	case s.Image != nil:
		return Made{ID: s.Image.ID}, s.Image.Failed
	}
	return m, false
}

// setMade takes down an image in the cloud; nil is none.
func (s *State) setMade(m *Made, failed bool) error {
	switch {
	case m == nil:
		s.Template, s.Image = nil, nil
	case s.Plan.Target() == VPC:
		s.Image = &Image{ID: m.ID, Failed: failed}
	default:
		id, err := strconv.Atoi(m.ID)
		if err != nil {
			return fmt.Errorf("the number of a template: %w", err)
		}
		s.Template = &Template{ID: id, GlobalIdentifier: m.GlobalIdentifier, Failed: failed}
	}
	return nil
}

// server returns the server that was ordered, "" if it is not known.
func (o *Order) server() string {
	if o.ID != 0 {
		return strconv.Itoa(o.ID)
	}
	return o.Instance
}

// setServer takes down the server of a cloud.
func (o *Order) setServer(target, id string) (err error) {
	if target == VPC {
		o.Instance = id
	} else if o.ID, err = strconv.Atoi(id); err != nil {
		err = fmt.Errorf("the number of a server: %w", err)
	}
	return err
}
