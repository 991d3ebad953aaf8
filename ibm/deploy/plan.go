package deploy

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/internal/rest"
)

// A Plan is the part of a deployment that must be the same in all its runs.
type Plan struct {
	Source     string    `json:"source"` // the name that identifies the source
	SourceSize int64     `json:"source_size"`
	SourceTime time.Time `json:"source_time,omitzero"`
	SourceETag string    `json:"source_etag,omitempty"`     // of an object
	SourceSum  string    `json:"source_checksum,omitempty"` // the required checksum
	Profile    string    `json:"profile"`                   // a [luksimg.Profile]
	Image      string    `json:"image"`                     // the file of the encrypted image
	Envelope   string    `json:"envelope"`                  // the file of the wrapped key
	Object     string    `json:"object"`                    // cos://REGION/BUCKET/OBJECT
	RootKeyCRN string    `json:"root_key_crn"`
	Name       string    `json:"name"` // of the template or the VPC image
	Note       string    `json:"note"`
	OSCode     string    `json:"os_code"`
	BYOL       bool      `json:"byol"` // bring your own license
}

// rules returns the rules of the profile; the zero value for an unknown profile.
func (p Plan) rules() luksimg.Rules { return luksimg.Profile(p.Profile).Rules() }

// hasUUID reports whether the image has a LUKS header, and thus a UUID.
func (p Plan) hasUUID() bool { return p.rules().Format != luksimg.VHD }

// Target returns the cloud of the profile, [Classic] or [VPC]; "" for an unknown profile.
func (p Plan) Target() string { return p.rules().Target }

// templateName matches valid template names. Files are named after the template.
var templateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)

// Complete fills in the empty fields of a plan from its Name. An empty Name becomes that of the
// source. Complete appends an object name to an Object that ends in a slash, and makes the path of a Source file
// absolute. It returns an error for an invalid plan.
func (p Plan) Complete() (Plan, error) {
	if !remote(p.Source) {
		var err error
		if p.Source, err = filepath.Abs(p.Source); err != nil {
			return p, err
		}
	}
	if p.Name == "" {
		p.Name = strings.TrimSuffix(filepath.Base(p.Source), filepath.Ext(p.Source))
	}
	if p.Profile == "" {
		p.Profile = string(luksimg.ClassicLUKS)
	}
	r := p.rules()
	if p.Envelope == "" {
		p.Envelope = p.Name + ".envelope.json"
	}
	if p.Image == "" {
		p.Image = p.Name + ".encrypted" + r.Extension
	}
	if strings.HasSuffix(p.Object, "/") {
		p.Object += p.Name + r.ObjectSuffix
	}
	return p, p.check()
}

// remote reports whether a source is an object or a URL rather than a local file.
func remote(source string) bool {
	return strings.HasPrefix(source, "cos://") || strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://")
}

func (p Plan) check() error {
	object, err := cos.ParseURI(p.Object)
	_, rootErr := crn.ParseRootKey(p.RootKeyCRN)
	switch {
	case !templateName.MatchString(p.Name):
		return rest.WithHint(fmt.Errorf("invalid template name %q: want letters, digits, dots, hyphens and underscores", p.Name), "choose one with --name")
	case p.Target() == "":
		return fmt.Errorf("--profile %s: want classic-luks, classic-vhd or vpc-qcow2", p.Profile)
	case p.Object == "":
		return rest.WithHint(errors.New("--object is missing"), "name the bucket: --object cos://REGION/BUCKET/")
	case err != nil && object.Bucket != "" && object.Key == "":
		return rest.WithHint(fmt.Errorf("--object: %w", err), "end it with a slash to have "+p.Name+p.rules().ObjectSuffix+" added: "+p.Object+"/")
	case err != nil:
		return rest.WithHint(fmt.Errorf("--object: %w", err), "it has the form cos://REGION/BUCKET/OBJECT")
	case p.RootKeyCRN == "":
		return rest.WithHint(errors.New("--root-key-crn is missing"), "luksimg rootkey list and luksimg setup print the CRN of a root key")
	case rootErr != nil:
		return rest.WithHint(errors.New("--root-key-crn: not the CRN of a root key"), "luksimg setup prints it; it has the form crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY")
	case p.OSCode == "":
		return rest.WithHint(errors.New("--os-code is missing"), "luksimg import --list-os-codes lists them")
	case strings.HasPrefix(strings.ToUpper(p.OSCode), "REDHAT") && !p.BYOL:
		return rest.WithHint(errors.New("an encrypted Red Hat image requires your own license"), "give --byol if you have one")
	}
	if err := luksimg.Profile(p.Profile).CheckName(path.Base(object.Key)); err != nil {
		return fmt.Errorf("--object %s: %w", object, err)
	}
	if err := checkNames(p.Target(), p.Name, p.Object, true); err != nil {
		return err
	}
	return luksimg.EncryptOptions{Profile: luksimg.Profile(p.Profile)}.Check()
}

// differs returns the names of the fields that differ from the plan of the first run. It ignores
// changes of the source, which sameSource detects.
func (p Plan) differs(q Plan) []string {
	var names []string
	p.takeSource(q)
	a, b := reflect.ValueOf(p), reflect.ValueOf(q)
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			names = append(names, a.Type().Field(i).Tag.Get("json"))
		}
	}
	return names
}

func differs(state cos.StateStore, names []string) error {
	for i, name := range names {
		names[i] = "--" + strings.ReplaceAll(name, "_", "-")
		if strings.HasPrefix(name, "source") {
			names[i] = "SRC"
		}
	}
	return rest.WithHint(fmt.Errorf("%s belongs to a deployment with a different %s", state, strings.Join(names, ", ")),
		"give the same flags to continue it; --name or --state begins another one")
}

// takeSource copies the source properties of another plan.
func (p *Plan) takeSource(q Plan) {
	p.SourceSize, p.SourceTime, p.SourceETag, p.SourceSum = q.SourceSize, q.SourceTime, q.SourceETag, q.SourceSum
}

// sameSource reports whether the source is unchanged, judging by its size, time and,
// for an object, ETag, and whether q requires the same checksum or none.
func (p Plan) sameSource(q Plan) bool {
	return p.SourceSize == q.SourceSize && p.SourceTime.Equal(q.SourceTime) && p.SourceETag == q.SourceETag && (q.SourceSum == "" || p.SourceSum == q.SourceSum)
}
