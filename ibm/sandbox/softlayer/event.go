package softlayer

import (
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/audit"
)

func (s *Server) templateCRN(t *template) string {
	return fmt.Sprintf("crn:v1:bluemix:public:virtual-servers:%s:a/%s::vsi-image-template:%s", t.Datacenter, s.opts.Account, t.GlobalID)
}

func (s *Server) guestCRN(g *guest) string {
	return fmt.Sprintf("crn:v1:bluemix:public:virtual-servers:%s:a/%s::vsi:%s", g.Datacenter, s.opts.Account, g.GlobalID)
}

// event returns the audit event of a completed action. An empty failure means
// success.
func (s *Server) event(action, initiator, target, name, failure string, request map[string]any) audit.Event {
	e := audit.Event{
		ID: uuid.NewString(), Time: s.opts.Clock.Now(), Action: action, Outcome: audit.Success, Severity: "normal",
		Message:     action + " of " + name,
		ReasonCode:  http.StatusOK,
		Initiator:   audit.Party{ID: initiator, Name: initiator},
		Target:      audit.Party{ID: target, Name: name},
		RequestData: request,
	}
	if failure != "" {
		e.Outcome, e.Severity, e.ReasonCode, e.ReasonType = audit.Failure, "critical", http.StatusInternalServerError, failure
	}
	return e
}
