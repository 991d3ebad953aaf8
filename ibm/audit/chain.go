package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/luksimg/luksimg/internal/rest"
)

// A Stage is a part of the story of an encrypted image.
type Stage string

// The stages, in their order.
const (
	Create    Stage = "create"    // the root key was made
	Wrap      Stage = "wrap"      // the data key was wrapped with it
	Import    Stage = "import"    // the image became a template
	Unwrap    Stage = "unwrap"    // the cloud unwrapped the data key
	Provision Stage = "provision" // a server was made of the template
)

// Stages are all stages in their order.
var Stages = []Stage{Create, Wrap, Import, Unwrap, Provision}

// Actions of luksimg itself, for a [Logger].
const (
	ActionRootKey = "luksimg.root-key.create"
	ActionEncrypt = "luksimg.image.encrypt"
	ActionWrap    = "luksimg.data-key.wrap"
	ActionUpload  = "luksimg.image.upload"
	ActionImport  = "luksimg.image.import"
	ActionOrder   = "luksimg.server.order"

	ActionRootKeyImport  = "luksimg.root-key.import"
	ActionRootKeyRotate  = "luksimg.root-key.rotate"
	ActionRootKeyDisable = "luksimg.root-key.disable"
	ActionRootKeyEnable  = "luksimg.root-key.enable"
	ActionRootKeyDelete  = "luksimg.root-key.delete"
)

// stages are by the action of an event. Actions of luksimg are what its [Logger]
// wrote; there are no events of the cloud for an encrypted import as such.
var stages = map[string]Stage{
	"kms.secrets.create":                  Create,
	"hs-crypto.secrets.create":            Create,
	ActionRootKey:                         Create,
	ActionRootKeyImport:                   Create,
	"kms.secrets.wrap":                    Wrap,
	"hs-crypto.secrets.wrap":              Wrap,
	ActionWrap:                            Wrap,
	"audit-log.vsi-image-template.create": Import,
	"is.image.image.create":               Import,
	ActionImport:                          Import,
	"kms.secrets.unwrap":                  Unwrap,
	"hs-crypto.secrets.unwrap":            Unwrap,
	"kms.secrets.rewrap":                  Wrap,
	"hs-crypto.secrets.rewrap":            Wrap,
	"audit-log.vsi.provision":             Provision,
	"is.instance.instance.create":         Provision,
	ActionOrder:                           Provision,
}

// services are the names that the cloud unwraps keys by: Cloud Block Storage in
// classic infrastructure, image and volume service in VPC.
var services = []string{"server-protect", "cloud block storage", "is.image", "is.volume", "vpc block storage", "is"}

// Query selects the key, image or server of a [Chain]. At least one of the first three fields must be set.
// With ImageID or ServerID an import or a server counts only if it is that one; else
// if it has to do with the root key. An event of a key counts if it mentions any of the three.
type Query struct {
	RootKeyCRN string
	ImageID    string // global identifier of a template, or ID of a VPC image
	ServerID   string // of the server; without ImageID its image is meant

	// Services are further names by which the cloud unwraps keys: names or IDs of
	// initiators.
	Services []string
}

// A Step is one event of the story.
type Step struct {
	Stage         Stage     `json:"stage"`
	Time          time.Time `json:"time,omitzero"`
	Action        string    `json:"action"`
	Outcome       string    `json:"outcome"`
	ReasonCode    int       `json:"reason_code,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	Initiator     string    `json:"initiator,omitempty"`
	Target        string    `json:"target,omitempty"`
	CorrelationID string    `json:"correlation_id,omitempty"`

	// Own is set for what luksimg itself wrote: a claim, where an event of the cloud
	// is evidence.
	Own bool `json:"own,omitempty"`

	// ByService is set for an unwrap by the cloud rather than by a person.
	ByService bool `json:"by_service,omitempty"`

	// Refused is set if what the event tells of was not done.
	Refused bool `json:"refused,omitempty"`
}

// A Gap is something that is missing in the story, or in the wrong place.
type Gap struct {
	Stage  Stage  `json:"stage"`
	Reason string `json:"reason"`

	// Minor is set if the story holds without it: the root key may have been made
	// long before the events begin.
	Minor bool `json:"minor,omitempty"`
}

// A Report is the story of one image.
type Report struct {
	Steps    []Step `json:"steps"`          // in order of time, refusals too
	Gaps     []Gap  `json:"gaps,omitempty"` // in order of stages
	Refusals []Step `json:"refusals,omitempty"`
	Notes    []Step `json:"notes,omitempty"` // unwraps by others than the cloud
}

// Broken reports whether a stage is missing, out of order, or was refused in the end.
func (r *Report) Broken() bool {
	return slices.ContainsFunc(r.Gaps, func(g Gap) bool { return !g.Minor })
}

// ErrBroken means that the events do not tell the whole story of the image.
var ErrBroken = errors.New("the chain of events is broken")

// Err returns an error that matches [ErrBroken] and says what is missing, if something is.
func (r *Report) Err() error {
	if !r.Broken() {
		return nil
	}
	var missing []string
	for _, g := range r.Gaps {
		if !g.Minor {
			missing = append(missing, fmt.Sprintf("%s: %s", g.Stage, g.Reason))
		}
	}
	return rest.WithHint(fmt.Errorf("%w: %s", ErrBroken, strings.Join(missing, "; ")), "events may come minutes later, and only of the services whose events are collected")
}

// Chain finds the story of one image in events, which may be in any order and of any
// number of images and keys.
func Chain(events []Event, q Query) *Report {
	r := &Report{Steps: []Step{}}
	seen := make(map[string]bool)
	of := q.choose(events)
	for i := range events {
		e := &events[i]
		stage, ok := stages[Current(e.Action)]
		if !ok || e.ID != "" && seen[e.ID] || !of.counts(stage, e) {
			continue
		}
		seen[e.ID] = true
		s := Step{
			Stage: stage, Time: e.Time, Action: e.Action, Outcome: e.Outcome, ReasonCode: e.ReasonCode, Reason: e.ReasonType,
			Initiator: cmp.Or(e.Initiator.Name, e.Initiator.ID), Target: cmp.Or(e.Target.ID, e.Target.Name),
			CorrelationID: e.CorrelationID, Own: strings.HasPrefix(e.Action, "luksimg."), Refused: !e.OK(),
		}
		if stage == Unwrap {
			s.ByService = q.service(e.Initiator)
		}
		r.Steps = append(r.Steps, s)
	}
	slices.SortStableFunc(r.Steps, func(a, b Step) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Index(Stages, a.Stage) - slices.Index(Stages, b.Stage)
	})
	for _, s := range r.Steps {
		if s.Refused {
			r.Refusals = append(r.Refusals, s)
		}
		if s.Stage == Unwrap && !s.ByService && !s.Refused {
			r.Notes = append(r.Notes, s)
		}
	}
	r.findGaps(q)
	return r
}

// findGaps says for each stage what is missing.
func (r *Report) findGaps(q Query) {
	var before *Step // the first good step that this stage must not be ahead of
	for _, stage := range Stages {
		var good, last *Step // the first that was done, and the last one
		others, early := false, false
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Stage != stage {
				continue
			}
			if stage == Unwrap && !s.ByService {
				others = true
				continue
			}
			last = s
			if s.Refused {
				continue
			}
			// An import before the key was wrapped is of another image. So is an unwrap
			// before there was the template; the event of a server may come when it is
			// ordered, which is before its key is unwrapped.
			if stage == Create || stage == Wrap || before == nil || before.Time.IsZero() || s.Time.IsZero() || !s.Time.Before(before.Time) {
				if good == nil {
					good = s
				}
			} else {
				early = true
			}
		}
		gap := func(format string, args ...any) {
			r.Gaps = append(r.Gaps, Gap{Stage: stage, Reason: fmt.Sprintf(format, args...), Minor: stage == Create && last == nil})
		}
		switch {
		case last != nil && last.Refused:
			gap("the last attempt was refused: outcome %s, reason %d %s", last.Outcome, last.ReasonCode, last.Reason)
		case good != nil:
			if stage != Unwrap {
				before = good
			}
		case early:
			gap("it happened only before the %s", before.Stage)
		case others:
			gap("the key was unwrapped, but not by the cloud: no server has used it")
		case stage == Import && q.ImageID != "":
			gap("there is no event of image %s", q.ImageID)
		case stage == Provision && q.ServerID != "":
			gap("there is no event of server %s", q.ServerID)
		default:
			gap("there is no event of it")
		}
	}
}

// mentions tells whether a value of an event is id, or has it as a part between the
// separators of CRNs and addresses.
func mentions(e *Event, id string) bool {
	if part(e.Target.ID, id) || part(e.Target.Name, id) {
		return true
	}
	queue := []any{e.RequestData, e.ResponseData}
	for n := 0; n < len(queue) && n < maxParts; n++ {
		switch v := queue[n].(type) {
		case string:
			if part(v, id) {
				return true
			}
		case map[string]any:
			for _, x := range v {
				queue = append(queue, x)
			}
		case []any:
			queue = append(queue, v...)
		}
	}
	return false
}

func part(s, id string) bool {
	for id != "" {
		i := strings.Index(s, id)
		if i < 0 {
			return false
		}
		end := i + len(id)
		if (i == 0 || strings.ContainsRune(":/, ", rune(s[i-1]))) && (end == len(s) || strings.ContainsRune(":/, ", rune(s[end]))) {
			return true
		}
		s = s[i+1:]
	}
	return false
}

// service tells whether the initiator is the cloud itself.
func (q Query) service(p Party) bool {
	for _, name := range slices.Concat(services, q.Services) {
		if strings.EqualFold(p.Name, name) || strings.EqualFold(p.ID, name) || part(strings.ToLower(p.ID), strings.ToLower(name)) && strings.HasPrefix(p.ID, "crn:") {
			return true
		}
	}
	return false
}

// Table returns the report as rows of text: a heading, the steps in order, then what
// is missing.
func (r *Report) Table() [][]string {
	rows := [][]string{{"STAGE", "TIME", "OUTCOME", "ACTION", "BY", "TARGET"}}
	for _, s := range r.Steps {
		at := "-"
		if !s.Time.IsZero() {
			at = s.Time.UTC().Format("2006-01-02T15:04:05Z")
		}
		outcome := s.Outcome
		if s.Refused {
			outcome = strings.TrimSpace(fmt.Sprintf("REFUSED %d %s", s.ReasonCode, s.Reason))
		}
		by := s.Initiator
		if s.ByService {
			by += " (the cloud)"
		}
		if s.Own {
			by += " (own log)"
		}
		rows = append(rows, []string{string(s.Stage), at, plain(outcome), plain(s.Action), plain(strings.TrimSpace(by)), plain(s.Target)})
	}
	for _, g := range r.Gaps {
		word := "MISSING"
		if g.Minor {
			word = "unknown"
		}
		rows = append(rows, []string{string(g.Stage), "-", word, plain(g.Reason), "", ""})
	}
	return rows
}

// plain makes text of an event fit for a terminal.
func plain(s string) string {
	return rest.Clean(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
}
