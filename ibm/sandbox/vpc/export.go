package vpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An exportJob copies an image to a bucket.
type exportJob struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Bucket    string    `json:"bucket"`
	Object    string    `json:"object"`
	Format    string    `json:"format"`
	Status    string    `json:"status"`
	Reasons   []reason  `json:"status_reasons"`
	Created   time.Time `json:"created"`
	Completed time.Time `json:"completed,omitzero"`

	cancel context.CancelFunc
}

func (j *exportJob) ended() bool { return j.Status == "succeeded" || j.Status == "failed" }

type exportParameters struct {
	Bucket struct {
		Name string `json:"name"`
		CRN  string `json:"crn"`
	} `json:"storage_bucket"`
	Format string `json:"format"`
	Name   string `json:"name"`
}

// checkExport returns the errors that the API reports immediately. The caller holds the lock.
func (s *Server) checkExport(i *image, p *exportParameters) error {
	if p.Bucket.Name == "" && p.Bucket.CRN != "" { // crn:...:bucket:NAME
		p.Bucket.Name = p.Bucket.CRN[strings.LastIndexByte(p.Bucket.CRN, ':')+1:]
	}
	p.Format = cmp.Or(p.Format, "qcow2")
	p.Name = cmp.Or(p.Name, strings.TrimRight(i.Name[:min(16, len(i.Name))], "-")+"-"+uuid.NewString()[:8])
	switch {
	case p.Bucket.Name == "":
		return invalid("storage_bucket", "The bucket must be given.")
	case p.Format != "qcow2" && p.Format != "vhd":
		return invalid("format", "The format must be qcow2 or vhd.")
	case i.RootKeyCRN != "" && p.Format != "qcow2":
		return invalid("format", "An encrypted image is exported as qcow2 only.")
	case "."+p.Format != path.Ext(i.Href):
		return &apiError{http.StatusNotImplemented, "not_implemented", "The emulator exports an image in the format that it was imported in.", "format"}
	case !validName.MatchString(p.Name):
		return invalid("name", "The name must be 1 to 63 lower case letters, digits and hyphens.")
	case slices.ContainsFunc(i.Exports, func(j *exportJob) bool { return j.Name == p.Name }):
		return &apiError{http.StatusBadRequest, "validation_unique_failed", "An export job of this name exists.", "name"}
	case i.Status != "available":
		return &apiError{http.StatusConflict, "image_not_available", "The image is " + i.Status + ".", "id"}
	}
	return nil
}

func (s *Server) createExport(r *http.Request, who string) (int, any, error) {
	var p exportParameters
	if err := decode(r, &p); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.image(r.PathValue("image"))
	if i == nil {
		return 0, nil, errNotFound
	}
	if err := s.checkExport(i, &p); err != nil {
		return 0, nil, err
	}
	j := &exportJob{
		ID: "r006-" + uuid.NewString(), Name: p.Name, Bucket: p.Bucket.Name, Object: p.Name + "." + p.Format, Format: p.Format,
		Status: "running", Reasons: []reason{}, Created: s.opts.Clock.Now(),
	}
	if _, _, _, err := s.opts.Store.Open(r.Context(), s.opts.Region, j.Bucket, j.Object); err == nil { // object names are unique in a bucket
		j.Object = p.Name + "-" + j.ID[5:13] + "." + p.Format
	}
	var ctx context.Context
	ctx, j.cancel = context.WithCancel(s.ctx)
	i.Exports = append(i.Exports, j)
	request := map[string]any{"storage_href": s.storageHref(j)}
	s.event("is.image.image-export-job.create", who, s.crn("image", i.ID), i.Name, "", request) // names of at-events.md
	s.work.Go(func() {
		defer j.cancel()
		failed := s.export(ctx, i, j)
		s.mu.Lock()
		defer s.mu.Unlock()
		j.Status, j.Completed = "succeeded", s.opts.Clock.Now()
		why := ""
		if failed != nil {
			j.Status, j.Reasons, why = "failed", []reason{*failed}, failed.Code
		}
		s.event("is.image.image.export", who, s.crn("image", i.ID), i.Name, why, request)
	})
	return http.StatusCreated, s.exportJSON(i, j), nil
}

func (s *Server) export(ctx context.Context, i *image, j *exportJob) *reason {
	if err := s.pause(ctx); err != nil {
		return fail("internal_error", "The emulator was stopped.")
	}
	if i.source == nil {
		return fail("internal_error", "The file of this image is not available: it was imported before the emulator was started.")
	}
	r := stopping{ctx, io.NewSectionReader(i.source, 0, i.FileSize)}
	if err := s.opts.Store.Put(ctx, s.opts.Region, j.Bucket, j.Object, r, i.FileSize); err != nil {
		return fail("cannot_access_storage_bucket", "The object cannot be written: %v", err)
	}
	return nil
}

// stopping is a reader that fails when ctx ends.
type stopping struct {
	ctx context.Context
	r   io.Reader
}

func (s stopping) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, errors.New("cancelled")
	}
	return s.r.Read(p)
}

func (s *Server) storageHref(j *exportJob) string {
	return "cos://" + s.opts.Region + "/" + j.Bucket + "/" + j.Object
}

// exportJSON returns a job in the format of the API (vpc-go-sdk, ImageExportJob).
func (s *Server) exportJSON(i *image, j *exportJob) map[string]any {
	m := map[string]any{
		"id": j.ID, "name": j.Name, "status": j.Status, "status_reasons": slices.Clone(j.Reasons), "format": j.Format, "resource_type": "image_export_job",
		"href": s.href("images", i.ID) + "/export_jobs/" + j.ID, "created_at": stamp(j.Created), "started_at": stamp(j.Created),
		"storage_bucket": map[string]any{"name": j.Bucket, "crn": "crn:v1:bluemix:public:cloud-object-storage:global:a/" + s.opts.Account + "::bucket:" + j.Bucket},
		"storage_href":   s.storageHref(j), "storage_object": map[string]any{"name": j.Object},
	}
	if !j.Completed.IsZero() {
		m["completed_at"] = stamp(j.Completed)
	}
	if i.RootKeyCRN != "" {
		m["encrypted_data_key"] = i.WrappedDEK
	}
	return m
}

// exportOf returns the job that a request names.
func (s *Server) exportOf(r *http.Request) (*image, *exportJob, error) {
	if i := s.image(r.PathValue("image")); i != nil {
		for _, j := range i.Exports {
			if j.ID == r.PathValue("id") {
				return i, j, nil
			}
		}
	}
	return nil, nil, errNotFound
}

func (s *Server) getExport(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, j, err := s.exportOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.exportJSON(i, j), nil
}

// listExports lists the jobs of an image, newest first.
func (s *Server) listExports(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.image(r.PathValue("image"))
	if i == nil {
		return 0, nil, errNotFound
	}
	list := []any{}
	for _, j := range slices.Backward(i.Exports) {
		if name := r.URL.Query().Get("name"); name == "" || name == j.Name {
			list = append(list, s.exportJSON(i, j))
		}
	}
	return http.StatusOK, map[string]any{"export_jobs": list}, nil
}

// deleteExport cancels a running job. A completely written object remains.
func (s *Server) deleteExport(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, j, err := s.exportOf(r)
	if err != nil {
		return 0, nil, err
	}
	if j.cancel != nil {
		j.cancel()
	}
	i.Exports = slices.DeleteFunc(i.Exports, func(x *exportJob) bool { return x == j })
	return http.StatusAccepted, nil, nil
}
