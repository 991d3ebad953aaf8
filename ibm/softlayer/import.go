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

// An ImportRequest says what image to make a template of.
type ImportRequest struct {
	Name string // of the template
	Note string // also tells an import from an earlier one of the same name; see [Client.Import]

	// OSCode is the operating system, as [Client.OSCodes] lists them.
	OSCode string

	// URI is where the image is: cos://REGION/BUCKET/OBJECT.
	URI string

	// APIKey is an API key of IAM, best of a service ID, that may read the object
	// and, if the image is encrypted, use the root key.
	APIKey string `json:"-"`

	// RootKeyCRN and WrappedDEK tell the key of an encrypted image: the root key, and
	// the data key as the key service wrapped it, byte for byte.
	RootKeyCRN string
	WrappedDEK string

	CloudInit bool // the image has cloud-init; an encrypted one must
	BYOL      bool // the license is the user's; an encrypted Red Hat image must
	Encrypted bool
}

// String tells the request without its API key.
func (r ImportRequest) String() string {
	return fmt.Sprintf("import of %s as %q", r.URI, r.Name)
}

// GoString is String, so that no verb of package fmt shows the API key.
func (r ImportRequest) GoString() string { return r.String() }

// check says what the service would refuse, or accept and never start.
func (r ImportRequest) check() error {
	bad := func(message, hint string) error {
		return unsent("import", message, hint)
	}
	switch {
	case r.Name == "":
		return bad("no name for the template", "give a name")
	case r.APIKey == "":
		return bad("no API key of IAM for the object", "give the API key of a service ID that can read the bucket and the root key")
	case r.OSCode == "":
		return bad("no operating system code", "list the codes with the API's getVhdImportSoftwareDescriptions")
	}
	if err := checkURI("import", r.URI); err != nil {
		return err
	}
	if !r.Encrypted && (r.RootKeyCRN != "" || r.WrappedDEK != "") {
		return bad("a root key or a wrapped key for an image that is not encrypted", "say that the image is encrypted")
	}
	if err := CheckObject(r.URI, r.Encrypted); err != nil {
		return fmt.Errorf("softlayer: import: %w", err)
	}
	if !r.Encrypted {
		return nil
	}
	switch {
	case r.WrappedDEK == "" || r.RootKeyCRN == "":
		return bad("an encrypted image without wrappedDek or crkCrn", "")
	case strings.ContainsAny(r.WrappedDEK, " \t\r\n"):
		return bad("the wrapped key has white space in it", "give the ciphertext exactly as the key service returned it, without a newline")
	case !rootKeyCRN(r.RootKeyCRN):
		return bad("the CRN is not that of a root key", "it must be crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY, or hs-crypto in place of kms")
	case !r.CloudInit:
		return bad("an encrypted image without cloud-init", hintCloudInit)
	case strings.HasPrefix(strings.ToUpper(r.OSCode), "REDHAT") && !r.BYOL:
		return bad("an encrypted Red Hat image without byol", hintBYOL)
	}
	return nil
}

// checkURI tells whether uri is cos://REGION/BUCKET/OBJECT.
func checkURI(op, uri string) error {
	rest, ok := strings.CutPrefix(uri, "cos://")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return unsent(op, "the address of the image is not cos://REGION/BUCKET/OBJECT", "the address of the image must be cos://REGION/BUCKET/OBJECT")
	}
	return nil
}

// rootKeyCRN tells whether s is a CRN of a key of one of the two key services.
func rootKeyCRN(s string) bool {
	p := strings.Split(s, ":")
	return len(p) == 10 && p[0] == "crn" && (p[4] == "kms" || p[4] == "hs-crypto") &&
		p[5] != "" && p[7] != "" && p[8] == "key" && p[9] != ""
}

// Import asks for a template to be made of an image in object storage, and returns it
// at once; [Client.WaitImport] waits for it.
//
// If a template of this name and this note is there, it is taken for that of an
// earlier run and returned; [Template.Created] tells. If that one failed, so does this
// call, with [ErrFailed]: [Client.Delete] it, or give another name. If one of this name
// has another note, or the request has none, that is [ErrExists]. If the answer to the call is
// lost, the template is looked for by its name, and [ErrLost] means that it was not
// found: the import may be under way nevertheless.
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
	return rest.Create(ctx, c.once("look for a template of this name before importing again: the import may be under way"), func() (*Template, error) {
		var g datatypes.Virtual_Guest_Block_Device_Template_Group
		err := c.call(ctx, "import", []string{r.APIKey}, func(s *session.Session) (err error) {
			g, err = services.GetVirtualGuestBlockDeviceTemplateGroupService(s).CreateFromIcos(r.configuration())
			return err
		})
		if err == nil && (g.Id == nil || value(g.GlobalIdentifier) == "") {
			err = badAnswer("import", "the answer has no template")
		}
		if err != nil {
			return nil, err
		}
		t := newTemplate(g)
		return &t, nil
	}, func() (*Template, error) {
		// There was none of this name before the call.
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

// once says how a template or a server is made.
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

// Delete deletes a template, and with it its copies in all datacenters; an import that
// failed leaves one behind. [ErrNotFound] if there is none.
func (c *Client) Delete(ctx context.Context, id int) error {
	if id <= 0 {
		return unsent("delete template", "no number of a template", "give the number")
	}
	return c.call(ctx, "delete template", nil, func(s *session.Session) error {
		_, err := services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(id).DeleteObject()
		return err
	})
}

// An ExportRequest says what template to copy to object storage, and where to.
type ExportRequest struct {
	TemplateID int

	// URI is where to: cos://REGION/BUCKET/OBJECT. Each disk of the template becomes
	// a file of its own, with -0, -1 and so on in front of the extension.
	URI string

	// APIKey is an API key of IAM that may write the object.
	APIKey string `json:"-"`
}

// String tells the request without its API key.
func (r ExportRequest) String() string {
	return fmt.Sprintf("export of template %d to %s", r.TemplateID, r.URI)
}

// GoString is String, so that no verb of package fmt shows the API key.
func (r ExportRequest) GoString() string { return r.String() }

// Export asks for a copy of a template in object storage. The copy is made after the
// call: poll the template until [Template.Step] is empty, as [Client.WaitImport] does.
func (c *Client) Export(ctx context.Context, r ExportRequest) error {
	if err := checkURI("export", r.URI); err != nil {
		return err
	}
	if r.TemplateID <= 0 || r.APIKey == "" {
		return unsent("export", "no number of a template, or no API key of IAM", "give both")
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
		return rest.Lost(e, "look at the transaction of the template, and into the bucket, before exporting again")
	case err != nil:
		return err
	case !done:
		return &Error{Service: "softlayer", Op: "export", Status: 200, Answered: true, Message: "the service did not begin the export", Advice: "look whether another transaction of the template is under way"}
	}
	return nil
}
