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

// stateVersion increases when a field changes its meaning, but not for new fields.
const stateVersion = 1

// A State records the progress of a deployment. It holds no secret. It is saved
// before and after each step, so that an interrupted run can continue.
type State struct {
	Version int        `json:"version"`
	ID      string     `json:"id"` // also in the template note, and the correlation ID of all calls
	Tool    string     `json:"tool"`
	Plan    Plan       `json:"plan"`
	Steps   []StepTime `json:"steps"`

	WDEK           string    `json:"wdek,omitempty"` // as in the envelope
	KeyFingerprint string    `json:"key_fingerprint,omitempty"`
	KeyGiven       bool      `json:"key_given,omitempty"` // the key was given, not generated
	ImageUUID      string    `json:"image_uuid"`          // chosen before encryption, to identify the image
	ImageSize      int64     `json:"image_size,omitempty"`
	ETag           string    `json:"etag,omitempty"`     // of the object
	Template       *Template `json:"template,omitempty"` // in classic infrastructure
	Image          *Image    `json:"image,omitempty"`    // in VPC
	Order          *Order    `json:"order,omitempty"`

	Anew     bool   `json:"anew,omitempty"`     // the source changed: the earlier results must be removed first
	Replaces string `json:"replaces,omitempty"` // the ETag of the object to replace

	store cos.StateStore
}

// A StepTime records when a step last began, and when it was done.
type StepTime struct {
	Step  string    `json:"step"`
	Begun time.Time `json:"begun"`
	Done  time.Time `json:"done,omitzero"`
}

// A Template is the classic template, once known.
type Template struct {
	ID               int    `json:"id"`
	GlobalIdentifier string `json:"global_identifier"`
	Failed           bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An Image is the image in VPC, where names are unique. It is recorded before the request, after
// a check that the name is free.
type Image struct {
	ID     string `json:"id,omitempty"`
	Failed bool   `json:"failed,omitempty"` // to be deleted before the next attempt
}

// An Order is a server, recorded before the order is placed.
type Order struct {
	Hostname string `json:"hostname"`
	Domain   string `json:"domain,omitempty"`
	Before   []int  `json:"before,omitempty"` // servers of that name that existed before
	ID       int    `json:"id,omitempty"`
	Instance string `json:"instance,omitempty"` // in VPC
}

// save writes the state atomically.
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

// loadState returns the state of an earlier run, or nil.
func loadState(store cos.StateStore) (*State, error) {
	b, err := store.Load()
	if err != nil || b == nil {
		return nil, err
	}
	s := &State{store: store}
	d := json.NewDecoder(bytes.NewReader(b))
	err = d.Decode(s)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("more than one JSON object")
	}
	if err == nil && s.Version != stateVersion {
		err = fmt.Errorf("version %d, want %d", s.Version, stateVersion)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, rest.WithHint(fmt.Errorf("%s: not the state of a deployment: %w", store, err), "name another file with --state")
	}
	return s, nil
}

// check validates that the results of completed steps are present.
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
		return errors.New("the result of a completed step is missing")
	case s.Plan.Target() == VPC && s.Template != nil,
		s.Plan.Target() == Classic && s.Image != nil:
		return errors.New("it has results of both clouds")
	}
	return nil
}

// newState returns the state of a new deployment.
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

// done reports whether a step was done.
func (s *State) done(name string) bool {
	t := s.step(name)
	return t != nil && !t.Done.IsZero()
}

// keyed reports whether a key was or may have been made, or a later step begun. Until then
// the source may be replaced freely.
func (s *State) keyed() bool {
	return s.step(StepKey) != nil || s.Anew || s.Replaces != "" || s.ETag != ""
}

// begin records that a step begins. It returns the time at which it began in an earlier run, or
// the zero time.
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

// forget marks a step as never begun: it was refused and made nothing.
func (s *State) forget(name string) {
	s.Steps = slices.DeleteFunc(s.Steps, func(t StepTime) bool { return t.Step == name })
}

// made returns the image in the cloud, and whether its import failed.
func (s *State) made() (m Made, failed bool) {
	switch {
	case s.Template != nil:
		return Made{ID: strconv.Itoa(s.Template.ID), GlobalIdentifier: s.Template.GlobalIdentifier}, s.Template.Failed
	case s.Image != nil:
		return Made{ID: s.Image.ID}, s.Image.Failed
	}
	return m, false
}

// setMade records an image in the cloud, or none if m is nil.
func (s *State) setMade(m *Made, failed bool) error {
	switch {
	case m == nil:
		s.Template, s.Image = nil, nil
	case s.Plan.Target() == VPC:
		s.Image = &Image{ID: m.ID, Failed: failed}
	default:
		id, err := strconv.Atoi(m.ID)
		if err != nil {
			return fmt.Errorf("template number: %w", err)
		}
		s.Template = &Template{ID: id, GlobalIdentifier: m.GlobalIdentifier, Failed: failed}
	}
	return nil
}

// server returns the ID of the ordered server, or "" if unknown.
func (o *Order) server() string {
	if o.ID != 0 {
		return strconv.Itoa(o.ID)
	}
	return o.Instance
}

// setServer records the ID of a server.
func (o *Order) setServer(target, id string) (err error) {
	if target == VPC {
		o.Instance = id
	} else if o.ID, err = strconv.Atoi(id); err != nil {
		err = fmt.Errorf("server number: %w", err)
	}
	return err
}
