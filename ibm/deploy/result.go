package deploy

import "fmt"

// A Result lists what a successful run created.
type Result struct {
	Name             string `json:"name"`
	Target           string `json:"target"` // [Classic] or [VPC]
	TemplateID       int    `json:"template_id,omitempty"`
	GlobalIdentifier string `json:"global_identifier,omitempty"`
	ImageID          string `json:"image_id,omitempty"` // in VPC
	Profile          string `json:"profile"`
	Object           string `json:"object"`
	ObjectSize       int64  `json:"object_size"`
	ImageUUID        string `json:"image_uuid"`
	Envelope         string `json:"envelope"` // file name
	RootKeyCRN       string `json:"root_key_crn"`
	Image            string `json:"image,omitempty"` // file name, if kept
	ServerID         int    `json:"server_id,omitempty"`
	InstanceID       string `json:"instance_id,omitempty"` // in VPC
	Server           string `json:"server,omitempty"`
	CorrelationID    string `json:"correlation_id"`
	KeyFile          string `json:"key_file,omitempty"` // file name, if the key was kept

	// Set by the caller: the state file, and the warning events.
	State    string   `json:"state,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// result returns the result so far.
func (d *Deployment) result() *Result {
	r := &Result{
		Name: d.Plan.Name, Target: d.rules.Target, Profile: d.Plan.Profile, Object: d.Plan.Object, ObjectSize: d.ImageSize,
		ImageUUID: d.ImageUUID, Envelope: d.Plan.Envelope, RootKeyCRN: d.Plan.RootKeyCRN, CorrelationID: d.ID, KeyFile: d.o.KeepKey,
	}
	if _, ok := d.imageThere(); ok && d.o.KeepImage {
		r.Image = d.Plan.Image
	}
	if d.Image != nil {
		r.ImageID = d.Image.ID
	} else {
		r.TemplateID, r.GlobalIdentifier = d.Template.ID, d.Template.GlobalIdentifier
	}
	if o := d.Order; o != nil && d.done(StepWaitOrder) {
		r.ServerID, r.InstanceID = o.ID, o.Instance
		r.Server = (&Server{Hostname: o.Hostname, Domain: o.Domain}).name()
	}
	return r
}

// Lines describe the result as text.
func (r *Result) Lines() []string {
	lines := []string{fmt.Sprintf("template  %d, %s, global identifier %s", r.TemplateID, r.Name, r.GlobalIdentifier)}
	if r.Target == VPC {
		lines[0] = fmt.Sprintf("image     %s, %s", r.ImageID, r.Name)
	}
	lines = append(lines, "object    "+r.Object, "envelope  "+r.Envelope, "root key  "+r.RootKeyCRN)
	switch {
	case r.ServerID != 0:
		lines = append(lines, fmt.Sprintf("server    %s, %d", r.Server, r.ServerID))
	case r.InstanceID != "":
		lines = append(lines, fmt.Sprintf("server    %s, %s", r.Server, r.InstanceID))
	}
	return lines
}
