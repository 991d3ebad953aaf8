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

// A Stage is one step in the life of an encrypted image.
type Stage string

// The stages, in chronological order.
const (
	Create    Stage = "create"    // the root key was created
	Wrap      Stage = "wrap"      // the data key was wrapped with it
	Import    Stage = "import"    // the image was imported
	Unwrap    Stage = "unwrap"    // the cloud unwrapped the data key
	Provision Stage = "provision" // a server was created from the image
)

// Stages lists all stages in order.
var Stages = []Stage{Create, Wrap, Import, Unwrap, Provision}

// Actions that luksimg itself logs with a [Logger].
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

// stages maps the action of an event to its stage. The luksimg actions come from its
// [Logger]: the cloud has no event specific to an encrypted import.
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

// services are the initiator names under which the cloud unwraps keys: Cloud Block Storage in
// classic infrastructure, the image and volume services in VPC.
var services = []string{"server-protect", "cloud block storage", "is.image", "is.volume", "vpc block storage", "is"}

// Query selects the key, image or server of a [Chain]. At least one of the first three fields must
// be set. With ImageID or ServerID, Chain counts only that import or server; otherwise, every one
// related to the root key. Chain counts a key event if it mentions any of the three.
type Query struct {
	RootKeyCRN string
	ImageID    string // global identifier of a template, or ID of a VPC image
	ServerID   string // server ID; without ImageID it also selects the server's image

	// Services are additional names or IDs of initiators under which the cloud unwraps
	// keys.
	Services []string
}

// A Step is one event in the history of an image.
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

	// Own is set for events that luksimg logged. They are claims; events of the cloud
	// are evidence.
	Own bool `json:"own,omitempty"`

	// ByService is set if the cloud, not a person, unwrapped the key.
	ByService bool `json:"by_service,omitempty"`

	// Refused is set if the action of the event was refused.
	Refused bool `json:"refused,omitempty"`
}

// A Gap is a missing or misplaced stage.
type Gap struct {
	Stage  Stage  `json:"stage"`
	Reason string `json:"reason"`

	// Minor is set if the chain holds without the stage. The creation of the root key is
	// minor: it can be older than the collected events.
	Minor bool `json:"minor,omitempty"`
}

// A Report is the history of one image.
type Report struct {
	Steps    []Step `json:"steps"`          // in order of time, including refusals
	Gaps     []Gap  `json:"gaps,omitempty"` // in order of stages
	Refusals []Step `json:"refusals,omitempty"`
	Notes    []Step `json:"notes,omitempty"` // unwraps by initiators other than the cloud
}

// Broken reports whether a stage is missing or out of order, or whether its last attempt was
// refused.
func (r *Report) Broken() bool {
	return slices.ContainsFunc(r.Gaps, func(g Gap) bool { return !g.Minor })
}

// ErrBroken means that the events do not show a complete chain for the image.
var ErrBroken = errors.New("the chain of events is broken")

// Err returns nil for a complete chain, or an error that matches [ErrBroken] and lists the gaps.
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
	return rest.WithHint(fmt.Errorf("%w: %s", ErrBroken, strings.Join(missing, "; ")), "events can arrive minutes later, and only from services whose events are collected")
}

// Chain reconstructs the history of one image from events. The events can be in any order and
// concern any number of images and keys.
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

// findGaps adds a gap for each missing or misplaced stage.
func (r *Report) findGaps(q Query) {
	var before *Step // the first good step that this stage must follow
	for _, stage := range Stages {
		var good, last *Step // the first successful step, and the last step
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
			// An import before the key was wrapped belongs to another image, as does an unwrap
			// before the import. The provision event can be logged when the server is
			// ordered, before its key is unwrapped.
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
			gap("happened only before the %s", before.Stage)
		case others:
			gap("the key was unwrapped, but not by the cloud: no server has used it")
		case stage == Import && q.ImageID != "":
			gap("no event of image %s", q.ImageID)
		case stage == Provision && q.ServerID != "":
			gap("no event of server %s", q.ServerID)
		default:
			gap("no event found")
		}
	}
}

// mentions reports whether a value of the event is id, or contains id between the
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

// service reports whether the initiator is the cloud itself.
func (q Query) service(p Party) bool {
	for _, name := range slices.Concat(services, q.Services) {
		if strings.EqualFold(p.Name, name) || strings.EqualFold(p.ID, name) || part(strings.ToLower(p.ID), strings.ToLower(name)) && strings.HasPrefix(p.ID, "crn:") {
			return true
		}
	}
	return false
}

// Table returns the report as rows of text: a heading, the steps in order, then the
// gaps.
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

// plain makes text of an event safe for a terminal.
func plain(s string) string {
	return rest.Clean(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
}
