package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
)

// actionExport is the audit action of an export.
const actionExport = "luksimg.image.export"

// An Exported is the copy of a template in Object Storage.
type Exported struct {
	TemplateID int    `json:"template_id"`
	Template   string `json:"template"` // its name
	Object     string `json:"object"`
	First      string `json:"first_disk"` // the object of the first disk
	Ready      bool   `json:"ready"`
}

// String describes the copy in one line.
func (e *Exported) String() string {
	return fmt.Sprintf("%s: of template %d, %s", e.First, e.TemplateID, e.Template)
}

// ExportTemplate copies a classic template, given by its number, global identifier or name, to Object
// Storage: one object per disk. The cloud writes the objects with apiKey.
func ExportTemplate(ctx context.Context, c *softlayer.Client, template string, to cos.Object, apiKey []byte, o CallOptions) (*Exported, error) {
	t, err := c.LookUp(ctx, template)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(t.Name, "/?#%&+ ") {
		o.tell(true, "the template name %q has characters with a meaning in URLs: the export may fail", t.Name)
	}
	err = c.Export(ctx, softlayer.ExportRequest{TemplateID: t.ID, URI: to.String(), APIKey: string(apiKey)})
	if err := o.Log.Did(actionExport, t.GlobalIdentifier, map[string]any{"uri": to.String()}, err); err != nil {
		return nil, err
	}
	o.tell(false, "export: template %d to %s accepted", t.ID, to)
	if !o.NoWait {
		if _, err := c.WaitExport(ctx, t.ID, o.waiting("export")); err != nil {
			return nil, err
		}
	}
	return &Exported{TemplateID: t.ID, Template: t.Name, Object: to.String(), First: firstDisk(to).String(), Ready: !o.NoWait}, nil
}

// firstDisk returns the object of the first disk of an export: image-0.vhd for image.vhd.
func firstDisk(o cos.Object) cos.Object {
	if i := strings.LastIndexByte(o.Key, '.'); i > strings.LastIndexByte(o.Key, '/') {
		o.Key = o.Key[:i] + "-0" + o.Key[i:]
	} else {
		o.Key += "-0"
	}
	return o
}

// An ExportedImage is the copy of an image of VPC in Object Storage.
type ExportedImage struct {
	ImageID string `json:"image_id"`
	Image   string `json:"image"` // its name
	JobID   string `json:"export_job_id"`
	Object  string `json:"object"` // as VPC named it
	Ready   bool   `json:"ready"`

	// Of an encrypted image: its root key and its wrapped data key.
	RootKeyCRN string `json:"root_key_crn,omitempty"`
	WrappedDEK string `json:"wrapped_dek,omitempty"`
}

// String describes the copy in one line.
func (e *ExportedImage) String() string {
	return fmt.Sprintf("%s: of image %s, %s", e.Object, e.ImageID, e.Image)
}

// ExportImage copies a VPC image, given by its name or ID, to an object NAME.qcow2 or NAME.vhd, with an export
// job NAME. It continues an unfinished job of that name from an earlier call, and first removes a failed one.
func ExportImage(ctx context.Context, c *vpc.Client, image string, to cos.Object, o CallOptions) (*ExportedImage, error) {
	r, err := exportRequest(to)
	if err != nil {
		return nil, err
	}
	img, err := c.LookUp(ctx, image)
	if err != nil {
		return nil, err
	}
	if r.Image = img.ID; r.Format != "qcow2" && img.EncryptionKey.CRN != "" {
		return nil, errors.New("an encrypted image can be exported as qcow2 only")
	}
	job, err := begunExport(ctx, c, r, o)
	if err != nil {
		return nil, err
	}
	what := "started by an earlier run"
	if job == nil {
		what = "accepted"
		job, err = c.CreateExport(ctx, r)
		if err := o.Log.Did(actionExport, img.ID, map[string]any{"uri": to.String()}, err); err != nil {
			return nil, err
		}
	}
	o.tell(false, "export: job %s, image %s to %s, %s", job.ID, img.ID, job.StorageHref, what)
	if !o.NoWait {
		if job, err = c.WaitExport(ctx, img.ID, job.ID, o.waiting("export")); err != nil {
			return nil, err
		}
	}
	return &ExportedImage{
		ImageID: img.ID, Image: img.Name, JobID: job.ID, Object: job.StorageHref, Ready: job.Done(),
		RootKeyCRN: img.EncryptionKey.CRN, WrappedDEK: job.WrappedDEK,
	}, nil
}

// exportRequest returns the request for an object with that name.
func exportRequest(to cos.Object) (vpc.ExportRequest, error) {
	ext := path.Ext(to.Key)
	r := vpc.ExportRequest{Bucket: to.Bucket, Format: strings.TrimPrefix(ext, "."), Name: strings.TrimSuffix(to.Key, ext)}
	err := vpc.CheckObject(to.Key, false)
	if err == nil {
		err = vpc.CheckName(r.Name)
	}
	if err != nil {
		err = rest.WithHint(fmt.Errorf("VPC names the object after the job: %w", err), "use NAME.qcow2 or NAME.vhd without a folder; NAME has lower case letters, digits and hyphens")
	}
	return r, err
}

// begunExport returns the job of an identical earlier call, or nil.
func begunExport(ctx context.Context, c *vpc.Client, r vpc.ExportRequest, o CallOptions) (*vpc.ExportJob, error) {
	all, err := c.ExportJobs(ctx, r.Image)
	for i, j := range all {
		switch {
		case j.Name != r.Name || j.StorageBucket.Name != r.Bucket || j.Format != r.Format:
		case j.Status == "failed":
			o.tell(false, "export: removing job %s, which failed", j.ID)
			return nil, untilGone(ctx, cmp.Or(o.Wait.Interval, 10*time.Second), c.DeleteExport(ctx, r.Image, j.ID), func() error {
				_, err := c.ExportJob(ctx, r.Image, j.ID)
				return err
			})
		case j.Status != "deleting":
			return &all[i], nil
		}
	}
	return nil, err
}
