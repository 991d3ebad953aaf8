package softlayer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/session"
	"github.com/softlayer/softlayer-go/sl"

	"github.com/luksimg/luksimg/internal/rest"
)

// An ImportRequest describes an image to import as a template.
type ImportRequest struct {
	Name string // of the template
	Note string // also identifies an earlier run of the same import; see [Client.Import]

	// OSCode is the operating system code; see [Client.OSCodes].
	OSCode string

	// URI is the address of the image: cos://REGION/BUCKET/OBJECT.
	URI string

	// APIKey is an IAM API key, preferably of a service ID. It needs read access to the object
	// and, for an encrypted image, to the root key.
	APIKey string `json:"-"`

	// RootKeyCRN and WrappedDEK are required for an encrypted image: its root key, and
	// the data key exactly as the key service wrapped it.
	RootKeyCRN string
	WrappedDEK string

	CloudInit bool // the image has cloud-init; required for an encrypted image
	BYOL      bool // bring your own license; required for an encrypted Red Hat image
	Encrypted bool
}

// String describes the request without its API key.
func (r ImportRequest) String() string {
	return fmt.Sprintf("import of %s as %q", r.URI, r.Name)
}

// GoString returns String, so that %#v does not show the API key.
func (r ImportRequest) GoString() string { return r.String() }

// check returns an error for a request that the service would refuse, or whose servers would never start.
func (r ImportRequest) check() error {
	bad := func(message, hint string) error {
		return unsent("import", message, hint)
	}
	switch {
	case r.Name == "":
		return bad("no template name", "give a name")
	case r.APIKey == "":
		return bad("no IAM API key for the object", "give the API key of a service ID that can read the bucket and the root key")
	case r.OSCode == "":
		return bad("no operating system code", "list the codes with the API's getVhdImportSoftwareDescriptions")
	}
	if err := checkURI("import", r.URI); err != nil {
		return err
	}
	if !r.Encrypted && (r.RootKeyCRN != "" || r.WrappedDEK != "") {
		return bad("root key or wrapped key given for an image that is not encrypted", "say that the image is encrypted")
	}
	if err := CheckObject(r.URI, r.Encrypted); err != nil {
		return fmt.Errorf("softlayer: import: %w", err)
	}
	if !r.Encrypted {
		return nil
	}
	switch {
	case r.WrappedDEK == "" || r.RootKeyCRN == "":
		return bad("encrypted image without wrappedDek or crkCrn", "")
	case strings.ContainsAny(r.WrappedDEK, " \t\r\n"):
		return bad("the wrapped key contains white space", "give the ciphertext exactly as the key service returned it, without a newline")
	case !rootKeyCRN(r.RootKeyCRN):
		return bad("the CRN is not a root key CRN", "it must be crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY, or hs-crypto in place of kms")
	case !r.CloudInit:
		return bad("encrypted image without cloud-init", hintCloudInit)
	case strings.HasPrefix(strings.ToUpper(r.OSCode), "REDHAT") && !r.BYOL:
		return bad("encrypted Red Hat image without byol", hintBYOL)
	}
	return nil
}

// checkURI returns an error unless uri has the form cos://REGION/BUCKET/OBJECT.
func checkURI(op, uri string) error {
	rest, ok := strings.CutPrefix(uri, "cos://")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return unsent(op, "the address of the image is not cos://REGION/BUCKET/OBJECT", "the address of the image must be cos://REGION/BUCKET/OBJECT")
	}
	return nil
}

// rootKeyCRN reports whether s is a key CRN of Key Protect or Hyper Protect Crypto Services.
func rootKeyCRN(s string) bool {
	p := strings.Split(s, ":")
	return len(p) == 10 && p[0] == "crn" && (p[4] == "kms" || p[4] == "hs-crypto") &&
		p[5] != "" && p[7] != "" && p[8] == "key" && p[9] != ""
}

// Import requests the import of an image from object storage as a template. It returns
// the template at once; [Client.WaitImport] waits for it.
//
// If a template with the same name and note exists, Import assumes an earlier run and
// returns that template; its [Template.Created] shows its age. If the earlier import failed, the error
// matches [ErrFailed]: delete the template with [Client.Delete], or choose another name. If a template
// with the name has another note, or the request has no note, the error matches [ErrExists]. If the
// reply to the call is lost, Import looks for the template by its name. [ErrLost] means that it was
// not found; the import may still be running.
func (c *Client) Import(ctx context.Context, r ImportRequest) (*Template, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	before, err := c.named(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	for _, t := range before {
		if r.Note == "" || t.Note != r.Note {
			return nil, fmt.Errorf("softlayer: import: %w: %q, number %d", ErrExists, r.Name, t.ID)
		}
	}
	switch len(before) {
	case 0:
	case 1:
		if !before[0].failed() {
			return &before[0], nil
		}
		return nil, &TransactionError{Op: "import", ID: before[0].ID, Step: before[0].Step, Reason: before[0].Reason, err: ErrFailed}
	default:
		return nil, fmt.Errorf("softlayer: import: template %q: %w: numbers %d and %d", r.Name, ErrAmbiguous, before[0].ID, before[1].ID)
	}
	return rest.Create(ctx, c.once("check for a template with this name before importing again: the import may still be running"), func() (*Template, error) {
		var g datatypes.Virtual_Guest_Block_Device_Template_Group
		err := c.call(ctx, "import", []string{r.APIKey}, func(s *session.Session) (err error) {
			g, err = services.GetVirtualGuestBlockDeviceTemplateGroupService(s).CreateFromIcos(r.configuration())
			return err
		})
		if err == nil && (g.Id == nil || value(g.GlobalIdentifier) == "") {
			err = badAnswer("import", "the response has no template")
		}
		if err != nil {
			return nil, err
		}
		t := newTemplate(g)
		return &t, nil
	}, func() (*Template, error) {
		// Any template with this name is new since the call.
		found, err := c.named(ctx, r.Name)
		switch {
		case err != nil || len(found) == 0:
			return nil, err
		case len(found) > 1 || found[0].Note != r.Note:
			return nil, fmt.Errorf("softlayer: import: template %q: %w", r.Name, ErrAmbiguous)
		}
		return &found[0], nil
	})
}

// once returns the settings for creating a template or a server.
func (c *Client) once(advice string) rest.Once {
	return rest.Once{Clock: c.opts.Clock, Settle: c.opts.Settle, Advice: advice}
}

func (r ImportRequest) configuration() *datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration {
	cfg := &datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration{
		Name:                         sl.String(r.Name),
		Note:                         sl.String(r.Note),
		OperatingSystemReferenceCode: sl.String(r.OSCode),
		Uri:                          sl.String(r.URI),
		IbmApiKey:                    sl.String(r.APIKey),
		CloudInit:                    sl.Bool(r.CloudInit),
		Byol:                         sl.Bool(r.BYOL),
		IsEncrypted:                  sl.Bool(r.Encrypted),
	}
	if r.Encrypted {
		cfg.CrkCrn, cfg.WrappedDek = sl.String(r.RootKeyCRN), sl.String(r.WrappedDEK)
	}
	return cfg
}

// Delete deletes a template and its copies in all datacenters. A failed import also leaves a template
// to delete. If there is no such template, the error is [ErrNotFound].
func (c *Client) Delete(ctx context.Context, id int) error {
	if id <= 0 {
		return unsent("delete template", "no template number", "give the number")
	}
	return c.call(ctx, "delete template", nil, func(s *session.Session) error {
		_, err := services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(id).DeleteObject()
		return err
	})
}

// An ExportRequest describes the export of a template to object storage.
type ExportRequest struct {
	TemplateID int

	// URI is the destination: cos://REGION/BUCKET/OBJECT. Each disk of the template becomes
	// an object, with -0, -1 and so on before the extension.
	URI string

	// APIKey is an IAM API key with write access to the object.
	APIKey string `json:"-"`
}

// String describes the request without its API key.
func (r ExportRequest) String() string {
	return fmt.Sprintf("export of template %d to %s", r.TemplateID, r.URI)
}

// GoString returns String, so that %#v does not show the API key.
func (r ExportRequest) GoString() string { return r.String() }

// Export requests a copy of a template in object storage. [Client.WaitExport] waits until
// the copy is complete.
func (c *Client) Export(ctx context.Context, r ExportRequest) error {
	if err := checkURI("export", r.URI); err != nil {
		return err
	}
	if r.TemplateID <= 0 || r.APIKey == "" {
		return unsent("export", "no template number or no IAM API key", "give both")
	}
	done := false
	err := c.call(ctx, "export", []string{r.APIKey}, func(s *session.Session) (err error) {
		done, err = services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(r.TemplateID).CopyToIcos(
			&datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration{
				Uri: sl.String(r.URI), IbmApiKey: sl.String(r.APIKey),
			})
		return err
	})
	var e *Error
	switch {
	case errors.As(err, &e) && e.Lost():
		return rest.Lost(e, "check the transaction of the template and the bucket before exporting again")
	case err != nil:
		return err
	case !done:
		return &Error{Service: "softlayer", Op: "export", Status: 200, Answered: true, Message: "the service did not begin the export", Advice: "check whether another transaction of the template is running"}
	}
	return nil
}
