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

// A Plan is what must not change between runs of one deployment.
type Plan struct {
	Source     string    `json:"source"` // by which it is known again
	SourceSize int64     `json:"source_size"`
	SourceTime time.Time `json:"source_time,omitzero"`
	SourceETag string    `json:"source_etag,omitempty"`     // of an object
	SourceSum  string    `json:"source_checksum,omitempty"` // that was asked for
	Profile    string    `json:"profile"`                   // a [luksimg.Profile]
	Image      string    `json:"image"`                     // the file of the encrypted image
	Envelope   string    `json:"envelope"`                  // the file of the wrapped key
	Object     string    `json:"object"`                    // cos://REGION/BUCKET/OBJECT
	RootKeyCRN string    `json:"root_key_crn"`
	Name       string    `json:"name"` // of the template, or of the image in VPC
	Note       string    `json:"note"`
	OSCode     string    `json:"os_code"`
	BYOL       bool      `json:"byol"` // the license of the system is the user's own
}

// rules are those of the profile; the zero value if there is no such profile.
func (p Plan) rules() luksimg.Rules { return luksimg.Profile(p.Profile).Rules() }

// hasUUID tells that there is LUKS in the image, which has the UUID that it is given.
func (p Plan) hasUUID() bool { return p.rules().Format != luksimg.VHD }

// Target returns the cloud that the profile is for, [Classic] or [VPC]; "" if there is none.
func (p Plan) Target() string { return p.rules().Target }

// templateName is what the name of a template may be, for files are named by it.
var templateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)

// Complete fills in what a plan leaves empty, by its Name, which is that of the source if it is
// empty too; an Object that ends in a slash is a folder, and a Source that is a file gets its
// absolute name. It returns an error for a plan that can not come to a good end.
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

// remote tells whether a source is no file here, but an object, or what is at an address.
func remote(source string) bool {
	return strings.HasPrefix(source, "cos://") || strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://")
}

func (p Plan) check() error {
	object, err := cos.ParseURI(p.Object)
	_, rootErr := crn.ParseRootKey(p.RootKeyCRN)
	switch {
	case !templateName.MatchString(p.Name):
		return rest.WithHint(fmt.Errorf("%q can not be the name of a template: want letters, digits, dots and hyphens", p.Name), "give one with --name")
	case p.Target() == "":
		return fmt.Errorf("--profile %s: want classic-luks, classic-vhd or vpc-qcow2", p.Profile)
	case p.Object == "":
		return rest.WithHint(errors.New("no --object was given"), "name the bucket: --object cos://REGION/BUCKET/")
	case err != nil && object.Bucket != "" && object.Key == "":
		return rest.WithHint(fmt.Errorf("--object: %w", err), "end it with a slash to have "+p.Name+p.rules().ObjectSuffix+" added: "+p.Object+"/")
	case err != nil:
		return rest.WithHint(fmt.Errorf("--object: %w", err), "it is cos://REGION/BUCKET/OBJECT")
	case p.RootKeyCRN == "":
		return rest.WithHint(errors.New("--root-key-crn is missing"), "luksimg rootkey list and luksimg setup print the CRN of a root key")
	case rootErr != nil:
		return rest.WithHint(errors.New("--root-key-crn: not the CRN of a root key"), "luksimg setup prints it; it is crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY")
	case p.OSCode == "":
		return rest.WithHint(errors.New("no --os-code was given"), "luksimg import --list-os-codes lists them")
	case strings.HasPrefix(strings.ToUpper(p.OSCode), "REDHAT") && !p.BYOL:
		return rest.WithHint(errors.New("an encrypted Red Hat image needs a license of your own"), "say --byol if you have one")
	}
	if err := luksimg.Profile(p.Profile).CheckName(path.Base(object.Key)); err != nil {
		return fmt.Errorf("--object %s: %w", object, err)
	}
	if err := checkNames(p.Target(), p.Name, p.Object, true); err != nil {
		return err
	}
	return luksimg.EncryptOptions{Profile: luksimg.Profile(p.Profile)}.Check()
}

// differs tells which parts of a plan are not those of the run that began, besides the
// source, which may change in place: see sameSource.
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
	return rest.WithHint(fmt.Errorf("%s is of a deployment that began with another %s", state, strings.Join(names, ", ")),
		"give the same flags to go on with it; --name or --state begins another one")
}

// takeSource takes from another plan what the source was like.
func (p *Plan) takeSource(q Plan) {
	p.SourceSize, p.SourceTime, p.SourceETag, p.SourceSum = q.SourceSize, q.SourceTime, q.SourceETag, q.SourceSum
}

// sameSource tells whether the source is what it was, as far as its size, its time and,
// for an object, its ETag tell; and whether q asks for no other checksum.
func (p Plan) sameSource(q Plan) bool {
	return p.SourceSize == q.SourceSize && p.SourceTime.Equal(q.SourceTime) && p.SourceETag == q.SourceETag && (q.SourceSum == "" || p.SourceSum == q.SourceSum)
}
