package vpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// An ExportJob copies an image to Object Storage.
type ExportJob struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Status        string         `json:"status"` // "queued", "running", "succeeded", "failed", "deleting"
	Reasons       []StatusReason `json:"status_reasons"`
	Format        string         `json:"format"` // "qcow2" or "vhd"
	StorageBucket struct {
		Name string `json:"name"`
	} `json:"storage_bucket"`
	StorageHref   string `json:"storage_href"` // cos://REGION/BUCKET/OBJECT
	StorageObject struct {
		Name string `json:"name"`
	} `json:"storage_object"`
	// WrappedDEK is the wrapped data key of an encrypted image. The root key of the image
	// unwraps it.
	WrappedDEK string    `json:"encrypted_data_key,omitempty"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
}

// Done reports whether the copy is complete.
func (j *ExportJob) Done() bool { return j.Status == "succeeded" }

// An ExportRequest describes the copy of an image to a bucket. The VPC image service needs an authorization
// to write to the bucket.
type ExportRequest struct {
	Image  string // its ID
	Bucket string // its name
	Format string // "qcow2" (the default) or "vhd" (unencrypted images only)
	Name   string // of the job, unique for the image; the service names the object after it
}

type exportPrototype struct {
	Bucket named  `json:"storage_bucket"`
	Format string `json:"format"`
	Name   string `json:"name"`
}

func exportPath(image, job string) string {
	p := "images/" + url.PathEscape(image) + "/export_jobs"
	if job != "" {
		p += "/" + url.PathEscape(job)
	}
	return p
}

// CreateExport requests the export of an image, and returns the job at once. [Client.WaitExport] waits
// until it is done. If the reply is lost, CreateExport looks for the job by its name. [ErrLost] means that it
// was not found. If a job with the name exists already, the error matches [ErrExists].
func (c *Client) CreateExport(ctx context.Context, r ExportRequest) (*ExportJob, error) {
	const op = "create export job"
	p := exportPrototype{Bucket: named{r.Bucket}, Format: cmp.Or(r.Format, "qcow2"), Name: r.Name}
	if err := CheckName(r.Name); err != nil {
		return nil, fmt.Errorf("vpc: %s: %w", op, err)
	}
	if r.Image == "" || r.Bucket == "" || p.Format != "qcow2" && p.Format != "vhd" {
		return nil, fmt.Errorf("vpc: %s: image, bucket and a format of qcow2 or vhd are required", op)
	}
	find := func() (*ExportJob, error) {
		all, err := c.ExportJobs(ctx, r.Image)
		for i := range all {
			if all[i].Name == r.Name {
				return &all[i], nil
			}
		}
		return nil, err
	}
	switch before, err := find(); {
	case err != nil:
		return nil, err
	case before != nil:
		return nil, fmt.Errorf("vpc: %s: %w: %q, ID %s, %s", op, ErrExists, r.Name, before.ID, before.Status)
	}
	return rest.Create(ctx, c.once(), func() (*ExportJob, error) {
		return c.exportJob(ctx, op, http.MethodPost, exportPath(r.Image, ""), p)
	}, find)
}

func (c *Client) exportJob(ctx context.Context, op, method, path string, in any) (*ExportJob, error) {
	j := new(ExportJob)
	if err := c.call(ctx, op, method, path, nil, in, j); err != nil {
		return nil, err
	}
	if j.ID == "" {
		return nil, badAnswer(&Error{Op: op, Status: http.StatusOK, CorrelationID: c.opts.CorrelationID}, "the response has no export job")
	}
	return j, nil
}

// ExportJob returns an export job of an image. If there is no such job, the error is [ErrNotFound].
func (c *Client) ExportJob(ctx context.Context, image, id string) (*ExportJob, error) {
	return c.exportJob(ctx, "get export job", http.MethodGet, exportPath(image, id), nil)
}

// ExportJobs returns the export jobs of an image, newest first.
func (c *Client) ExportJobs(ctx context.Context, image string) ([]ExportJob, error) {
	return list[ExportJob](ctx, c, "list export jobs", exportPath(image, ""), "export_jobs", nil)
}

// DeleteExport deletes an export job. It cancels an unfinished job, which leaves no object. The object
// of a finished job remains. If there is no such job, the error is [ErrNotFound].
func (c *Client) DeleteExport(ctx context.Context, image, id string) error {
	return c.call(ctx, "delete export job", http.MethodDelete, exportPath(image, id), nil, nil, nil)
}

// WaitExport waits until the copy is complete, and returns the job. It has the errors of
// [Client.WaitImage].
func (c *Client) WaitExport(ctx context.Context, image, id string, o WaitOptions) (job *ExportJob, err error) {
	err = c.wait(ctx, "export job", id, o, "succeeded", []string{"failed", "deleting"}, func() (string, []StatusReason, error) {
		found, err := c.ExportJob(ctx, image, id)
		if err != nil {
			return "", nil, err
		}
		job = found
		return job.Status, job.Reasons, nil
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("vpc: export job %s was deleted: %w", id, err)
	case err != nil:
		return nil, err
	}
	return job, nil
}
