package picture

import (
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/drawing"
)

// Audit draws the events of an image as a time line. about describes the image.
func Audit(r *audit.Report, about []string) []byte {
	state := map[audit.Stage]drawing.State{}
	var missing []drawing.Link
	for _, g := range r.Gaps {
		state[g.Stage] = drawing.Missing
		if g.Minor {
			state[g.Stage] = drawing.Unknown
		}
		missing = append(missing, drawing.Link{Name: fmt.Sprintf("%s: %s", g.Stage, g.Reason), State: state[g.Stage]})
	}
	var links []drawing.Link
	for _, s := range audit.Stages {
		links = append(links, drawing.Link{Name: string(s), State: state[s]})
	}
	var events []drawing.Event
	for _, s := range r.Steps {
		events = append(events, event(s))
	}
	title := "chain of events: whole"
	if r.Broken() {
		title = "chain of events: broken"
	}
	return drawing.Chain(title, about, links, events, missing)
}

func event(s audit.Step) drawing.Event {
	e := drawing.Event{Kind: drawing.Service, Name: string(s.Stage), Time: s.Time, Refused: s.Refused}
	if s.Own {
		e.Kind = drawing.Own
	}
	outcome := s.Outcome
	if s.Refused {
		outcome = strings.TrimSpace(fmt.Sprintf("refused: %d %s", s.ReasonCode, s.Reason))
	}
	e.Lines = append(e.Lines, outcome+", "+s.Action)
	if s.Initiator != "" {
		by := "by " + s.Initiator
		if s.ByService {
			by += " (the cloud)"
		}
		e.Lines = append(e.Lines, by)
	}
	if s.Target != "" {
		e.Lines = append(e.Lines, "of "+s.Target)
	}
	return e
}
