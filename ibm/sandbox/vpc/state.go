package vpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/internal/guestdisk"
)

// state is the complete state of the emulator. It holds no secrets.
type state struct {
	Images    []*image    `json:"images"`
	Instances []*instance `json:"instances"`
	Keys      []*key      `json:"keys,omitempty"`
}

type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type image struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	OS         string               `json:"operating_system"`
	Href       string               `json:"file"`
	FileSize   int64                `json:"file_size"`
	DiskSize   int64                `json:"disk_size"`
	RootKeyCRN string               `json:"root_key_crn,omitempty"`
	WrappedDEK string               `json:"wrapped_dek,omitempty"`
	Status     string               `json:"status"`
	Reasons    []reason             `json:"status_reasons"`
	Created    time.Time            `json:"created"`
	File       *guestdisk.Recording `json:"image,omitempty"`
	Exports    []*exportJob         `json:"export_jobs,omitempty"`

	source io.ReaderAt // source of exports; nil after Load
}

type instance struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	ImageID string    `json:"image_id"`
	Zone    string    `json:"zone"`
	Profile string    `json:"profile"`
	VPC     string    `json:"vpc"`
	Subnet  string    `json:"subnet"`
	Network string    `json:"network,omitempty"` // ID of a network attachment; "" for an interface
	Status  string    `json:"status"`
	Reasons []reason  `json:"status_reasons"`
	Created time.Time `json:"created"`
}

// Save writes the state as JSON: instances, and images with the parts of their files needed to
// open them. It holds no secrets.
func (s *Server) Save(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.MarshalIndent(s.state, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Load replaces the state with one written by Save. It marks pending work as failed.
func (s *Server) Load(r io.Reader) error {
	var st state
	if err := json.NewDecoder(r).Decode(&st); err != nil {
		return fmt.Errorf("sandbox/vpc: the state cannot be read: %w", err)
	}
	for _, i := range st.Images {
		if i == nil {
			return errors.New("sandbox/vpc: the state has an empty image")
		}
		if i.Status == "pending" {
			i.Status, i.Reasons = "failed", []reason{{"image_data_corrupted", "The emulator was stopped: import again."}}
		}
		for _, j := range i.Exports {
			if j == nil {
				return errors.New("sandbox/vpc: the state has an empty export job")
			}
			if !j.ended() {
				j.Status, j.Reasons = "failed", []reason{{"internal_error", "The emulator was stopped: export again."}}
			}
		}
	}
	for _, i := range st.Instances {
		if i == nil {
			return errors.New("sandbox/vpc: the state has an empty instance")
		}
		if i.Status == "starting" {
			i.Status, i.Reasons = "failed", []reason{{"cannot_start", "The emulator was stopped: order again."}}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	return nil
}

func (s *Server) image(id string) *image {
	for _, i := range s.state.Images {
		if i.ID == id {
			return i
		}
	}
	return nil
}

func (s *Server) instance(id string) *instance {
	for _, i := range s.state.Instances {
		if i.ID == id {
			return i
		}
	}
	return nil
}
