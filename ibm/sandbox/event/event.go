// Package event defines the audit events of the sandbox services, in the format of IBM Cloud
// activity tracking: CADF, one JSON object per event.
package event

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"
)

// An Event is an audit event. Field names follow IBM Cloud's event definition.
type Event struct {
	ID              string         `json:"id"`
	EventTime       string         `json:"eventTime"` // see [Time]
	Action          string         `json:"action"`    // service.objectType.verb: "kms.secrets.wrap"
	Outcome         string         `json:"outcome"`   // "success" or "failure"
	Severity        string         `json:"severity"`  // "normal", "warning" or "critical"
	Message         string         `json:"message"`
	Reason          Reason         `json:"reason"`
	Initiator       Initiator      `json:"initiator"`
	Target          Target         `json:"target"`
	Observer        Observer       `json:"observer"`
	RequestData     map[string]any `json:"requestData,omitempty"`
	ResponseData    map[string]any `json:"responseData,omitempty"`
	LogSourceCRN    string         `json:"logSourceCRN"`
	SaveServiceCopy bool           `json:"saveServiceCopy"`
	DataEvent       bool           `json:"dataEvent"`
	CorrelationID   string         `json:"correlationId,omitempty"`
}

// Reason is the HTTP status of the response.
type Reason struct {
	Code int    `json:"reasonCode"`
	Type string `json:"reasonType"`
}

// Initiator identifies the caller.
type Initiator struct {
	ID         string     `json:"id"` // the IAM ID
	Name       string     `json:"name"`
	TypeURI    string     `json:"typeURI"`
	Credential Credential `json:"credential"`
	Host       Host       `json:"host"`
}

// Credential describes the credential of the initiator.
type Credential struct {
	Type string `json:"type"` // "token"
}

// Host is the source of the request.
type Host struct {
	Address string `json:"address"`
}

// Target is the resource of the action.
type Target struct {
	ID      string `json:"id"` // a CRN
	Name    string `json:"name"`
	TypeURI string `json:"typeURI"`
}

// Observer is the reporter of the event.
type Observer struct {
	Name string `json:"name"`
}

// A Sink receives events. It must be safe for concurrent use, and must not block.
type Sink func(Event)

// New returns an event with its time, ID, outcome and reason filled in.
func New(now time.Time, action string, status int) Event {
	var id [16]byte
	rand.Read(id[:])
	e := Event{
		ID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), EventTime: Time(now), Action: action,
		Outcome: "success", Severity: "normal", Reason: Reason{status, http.StatusText(status)}, Observer: Observer{"ActivityTracker"},
	}
	if status >= 400 {
		e.Outcome, e.Severity = "failure", "warning"
	}
	return e
}

// Time formats the time of an event: with hundredths of a second, and a zone without a
// colon, unlike RFC 3339.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.00-0700") }
