package main

import "fmt"

// deployResult is what deploy --json prints.
type deployResult struct {
	Name             string   `json:"name"`
	Target           string   `json:"target"` // classic or vpc
	TemplateID       int      `json:"template_id,omitempty"`
	GlobalIdentifier string   `json:"global_identifier,omitempty"`
	ImageID          string   `json:"image_id,omitempty"` // in VPC
	Profile          string   `json:"profile"`
	Object           string   `json:"object"`
	ObjectSize       int64    `json:"object_size"`
	ImageUUID        string   `json:"image_uuid"`
	Envelope         string   `json:"envelope"` // the name of the file
	RootKeyCRN       string   `json:"root_key_crn"`
	Image            string   `json:"image,omitempty"` // the name of the file, if it was kept
	KeyFile          string   `json:"key_file,omitempty"`
	ServerID         int      `json:"server_id,omitempty"`
	InstanceID       string   `json:"instance_id,omitempty"` // in VPC
	Server           string   `json:"server,omitempty"`
	CorrelationID    string   `json:"correlation_id"`
	State            string   `json:"state"` // the name of the file
	Warnings         []string `json:"warnings,omitempty"`
}

// report prints what there is now.
func (d *deployment) report() error {
	r := deployResult{
		Name: d.Plan.Name, Target: d.kind().target, Profile: d.Plan.Profile,
		Object: d.Plan.Object, ObjectSize: d.ImageSize, ImageUUID: d.ImageUUID, Envelope: d.Plan.Envelope, RootKeyCRN: d.Plan.RootKeyCRN,
		KeyFile: d.keepKey, CorrelationID: d.ID, State: d.deployFlags.state, Warnings: d.t.warnings,
	}
	if _, ok := d.imageThere(); ok && d.keepImage {
		r.Image = d.Plan.Image
	}
	var text string
	if d.Image != nil {
		r.ImageID = d.Image.ID
		text = fmt.Sprintf("image     %s, %s", r.ImageID, r.Name)
	} else {
		r.TemplateID, r.GlobalIdentifier = d.Template.ID, d.Template.GlobalIdentifier
		text = fmt.Sprintf("template  %d, %s, global identifier %s", r.TemplateID, r.Name, r.GlobalIdentifier)
	}
	text += fmt.Sprintf("\nobject    %s\nenvelope  %s\nroot key  %s", r.Object, r.Envelope, r.RootKeyCRN)
	if d.Order != nil && d.done(stepWaitOrder) {
		r.ServerID, r.InstanceID, r.Server = d.Order.ID, d.Order.Instance, d.Order.Hostname
		if d.Order.Domain != "" {
			r.Server += "." + d.Order.Domain
		}
		text += fmt.Sprintf("\nserver    %s", r.Server)
		if r.ServerID != 0 {
			text += fmt.Sprintf(", %d", r.ServerID)
		} else {
			text += ", " + r.InstanceID
		}
	}
	return d.t.result(r, text)
}
