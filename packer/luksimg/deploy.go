package luksimg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// deploy has the library make the key, wrap it, encrypt, upload and import. After an interruption, the next build
// continues from the state file and creates nothing twice.
func (j *job) deploy(ctx context.Context) (*Artifact, error) {
	d, files := j.Deploy, deploy.Local{}
	plan, err := deploy.Plan{
		Source: j.source.Name, Profile: j.Profile, Image: j.output, Envelope: j.envelope, Object: j.Object,
		RootKeyCRN: j.RootKeyCRN, Name: d.Name, OSCode: d.OSCode, Note: "made by Packer, encrypted by luksimg",
	}.Complete()
	if err != nil {
		return nil, err
	}
	o := deploy.Options{
		Plan: plan, Source: j.source, State: cos.StateFile(d.State), Upload: cos.StateFile(d.State + ".upload"), Files: files,
		KeepKey: j.GenerateKey, AnyDisk: d.AnyDisk, Tool: tool,
		Event: func(e deploy.Event) {
			if e.Warning {
				j.ui.Error("warning: " + e.Text)
			} else {
				j.ui.Say(e.Text)
			}
		},
		Progress: func(phase string, total int64) (func(int64), func()) {
			return j.progress(phase+":", total), func() {}
		},
	}
	if j.KeyFile != "" {
		o.Key = func(context.Context) ([]byte, error) { return readFile(files, j.KeyFile) }
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	unlock, err := files.Lock(d.State)
	if err != nil {
		return nil, err
	}
	defer unlock()
	_, noState := os.Stat(d.State)
	run, err := deploy.Begin(ctx, o)
	if err != nil {
		if noState == nil {
			err = fmt.Errorf("%w: to begin another deployment, change the name in deploy", err)
		}
		return nil, err
	}
	clients, err := j.clients(plan, run.ID)
	if err != nil {
		return nil, err
	}
	r, err := run.Run(ctx, clients)
	if err != nil {
		return nil, fmt.Errorf("%w; with the same disk and template, the next build continues from %s", err, d.State)
	}
	a := &Artifact{id: r.ImageID, files: []string{plan.Envelope}, state: map[string]any{"object": r.Object, "uuid": r.ImageUUID}}
	a.text = fmt.Sprintf("image %s in VPC, of %s", r.ImageID, r.Object)
	if plan.Target() == deploy.Classic {
		a.id, a.state["template_id"] = r.GlobalIdentifier, strconv.Itoa(r.TemplateID)
		a.text = fmt.Sprintf("template %s in classic infrastructure, of %s", r.GlobalIdentifier, r.Object)
	} else {
		a.state["image_id"] = r.ImageID
	}
	return a, nil
}

// clients returns the clients of the deployment. All requests carry its ID.
func (j *job) clients(plan deploy.Plan, id string) (c deploy.Clients, err error) {
	d := j.Deploy
	if c.Identity, err = j.tokens(); err != nil {
		return c, err
	}
	if c.RootKey, err = keyprotect.New(keyprotect.Options{CRN: plan.RootKeyCRN, URL: j.KMSURL, Tokens: c.Identity, CorrelationID: id}); err != nil {
		return c, err
	}
	if c.Store, err = cos.New(cos.Options{Endpoint: j.COSURL, Tokens: c.Identity}); err != nil {
		return c, err
	}
	switch plan.Target() {
	case deploy.Classic:
		client, err := softlayer.New(softlayer.Options{Endpoint: d.SoftLayerURL, User: d.SoftLayerUsername, APIKey: d.SoftLayerAPIKey})
		if err != nil {
			return c, err
		}
		c.Cloud = deploy.NewClassic(client, func() ([]byte, error) { return []byte(d.ImporterAPIKey), nil })
	case deploy.VPC:
		object, err := cos.ParseURI(plan.Object)
		if err != nil {
			return c, err
		}
		client, err := vpc.New(vpc.Options{Region: object.Region, Endpoint: d.VPCURL, Tokens: c.Identity, CorrelationID: id})
		if err != nil {
			return c, err
		}
		c.Cloud = deploy.NewVPC(client)
	default:
		return c, errors.New("profile: this profile is not for a cloud")
	}
	return c, nil
}
