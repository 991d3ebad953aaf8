// Package audit logs the actions of luksimg as audit events. It also reads the events of IBM Cloud
// to reconstruct the history of an encrypted image: from the creation of the root key to the
// provisioning of a server.
//
// [Logger] writes events. [Read] and [Client.Query] read them. [Chain] builds the history and
// finds its gaps. Events have the CADF format (DMTF DSP0262) as used by IBM Cloud Activity
// Tracker. The package prints nothing.
package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Outcomes of an event. Services also use others.
const (
	Success = "success"
	Failure = "failure"
)

// A Party is the initiator, target or observer of an event.
type Party struct {
	ID      string // the CRN of a target
	Name    string
	TypeURI string

	CredentialType string // of an initiator: "apikey", "token"
	Host           string // of an initiator: its network address
}

// An Event is an action that was done, attempted or refused.
type Event struct {
	ID            string
	Time          time.Time // UTC; zero if it is missing or malformed
	Action        string    // "kms.secrets.unwrap": service, object, verb
	Outcome       string    // [Success], [Failure], ...
	Severity      string    // "normal", "warning", "critical"
	Message       string
	ReasonCode    int // HTTP status
	ReasonType    string
	Initiator     Party
	Target        Party
	Observer      string
	LogSourceCRN  string
	CorrelationID string
	DataEvent     bool

	// RequestData and ResponseData are details from the service. JSON inside a string
	// is decoded.
	RequestData  map[string]any
	ResponseData map[string]any
}

// OK reports whether the action of the event succeeded.
func (e *Event) OK() bool {
	return strings.EqualFold(e.Outcome, Success) && (e.ReasonCode == 0 || e.ReasonCode < 400)
}

// partyJSON and eventJSON are the JSON format of events.
type partyJSON struct {
	ID         string `json:"id,omitempty"`
	Name       string `json:"name,omitempty"`
	TypeURI    string `json:"typeURI,omitempty"`
	Credential *struct {
		Type string `json:"type,omitempty"`
	} `json:"credential,omitempty"`
	Host *struct {
		Address string `json:"address,omitempty"`
	} `json:"host,omitempty"`
}

type reasonJSON struct {
	Code number `json:"reasonCode,omitempty"`
	Type string `json:"reasonType,omitempty"`
}

type eventJSON struct {
	ID            string          `json:"id,omitempty"`
	Time          json.RawMessage `json:"eventTime,omitempty"`
	Action        string          `json:"action"`
	Outcome       string          `json:"outcome"`
	Severity      string          `json:"severity,omitempty"`
	Message       string          `json:"message,omitempty"`
	Reason        *reasonJSON     `json:"reason,omitempty"`
	Initiator     partyJSON       `json:"initiator"`
	Target        partyJSON       `json:"target"`
	Observer      partyJSON       `json:"observer"`
	RequestData   details         `json:"requestData,omitempty"`
	ResponseData  details         `json:"responseData,omitempty"`
	LogSourceCRN  string          `json:"logSourceCRN,omitempty"`
	DataEvent     bool            `json:"dataEvent"`
	CorrelationID string          `json:"correlationId,omitempty"`
}

// A number is a JSON number, or a string that holds one: "200".
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err == nil {
		*n = number(v)
	}
	return nil // ignore values that are not numbers
}

// details is a JSON object, or a string that holds one.
type details map[string]any

func (d *details) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		if b = []byte(text); !strings.HasPrefix(strings.TrimSpace(text), "{") {
			if text != "" {
				*d = details{"text": text}
			}
			return nil
		}
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		m = map[string]any{"text": string(b)}
	}
	*d = m
	return nil
}

// timeLayouts are the layouts found in events. Parsing accepts fractions of a second after any of them.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05-0700", // Activity Tracker
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05", // interpreted as UTC
	"2006-01-02 15:04:05 -0700 MST",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
}

// errTime means that a time has none of the known layouts.
var errTime = errors.New("not a time")

// parseTime parses a time as text, or as seconds, milliseconds, microseconds or
// nanoseconds since 1970.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, errTime
	}
	switch { // 10^11 seconds is the year 5138, 10^11 milliseconds is 1973
	case n < 1e11:
		return time.Unix(n, 0).UTC(), nil
	case n < 1e14:
		return time.UnixMilli(n).UTC(), nil
	case n < 1e17:
		return time.UnixMicro(n).UTC(), nil
	}
	return time.Unix(0, n).UTC(), nil
}

// UnmarshalJSON decodes an event in any of the variants that services write.
func (e *Event) UnmarshalJSON(b []byte) error {
	var j eventJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.Action == "" {
		return errors.New("event has no action")
	}
	*e = Event{
		ID: j.ID, Action: j.Action, Outcome: j.Outcome, Severity: j.Severity, Message: j.Message,
		Initiator: j.Initiator.party(), Target: j.Target.party(), Observer: j.Observer.Name,
		LogSourceCRN: j.LogSourceCRN, CorrelationID: j.CorrelationID, DataEvent: j.DataEvent,
		RequestData: j.RequestData, ResponseData: j.ResponseData,
	}
	if j.Reason != nil {
		e.ReasonCode, e.ReasonType = int(j.Reason.Code), j.Reason.Type
	}
	var text string
	if json.Unmarshal(j.Time, &text) != nil {
		text = string(j.Time)
	}
	e.Time, _ = parseTime(text)
	return nil
}

func (p partyJSON) party() Party {
	q := Party{ID: p.ID, Name: p.Name, TypeURI: p.TypeURI}
	if p.Credential != nil {
		q.CredentialType = p.Credential.Type
	}
	if p.Host != nil {
		q.Host = p.Host.Address
	}
	return q
}

func (p Party) json() partyJSON {
	q := partyJSON{ID: p.ID, Name: p.Name, TypeURI: p.TypeURI}
	if p.CredentialType != "" {
		q.Credential = &struct {
			Type string `json:"type,omitempty"`
		}{p.CredentialType}
	}
	if p.Host != "" {
		q.Host = &struct {
			Address string `json:"address,omitempty"`
		}{p.Host}
	}
	return q
}

// MarshalJSON encodes an event in CADF format, on one line.
func (e Event) MarshalJSON() ([]byte, error) {
	j := eventJSON{
		ID: e.ID, Action: e.Action, Outcome: e.Outcome, Severity: e.Severity, Message: e.Message,
		Initiator: e.Initiator.json(), Target: e.Target.json(), Observer: partyJSON{Name: e.Observer},
		LogSourceCRN: e.LogSourceCRN, CorrelationID: e.CorrelationID, DataEvent: e.DataEvent,
		RequestData: e.RequestData, ResponseData: e.ResponseData,
	}
	if e.ReasonCode != 0 || e.ReasonType != "" {
		j.Reason = &reasonJSON{number(e.ReasonCode), e.ReasonType}
	}
	if !e.Time.IsZero() {
		j.Time = fmt.Appendf(nil, "%q", e.Time.UTC().Format("2006-01-02T15:04:05.00-0700"))
	}
	return json.Marshal(j)
}
