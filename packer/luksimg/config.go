//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config,Deploy

package luksimg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
)

// A Config is the configuration of the post-processor in a template. Configure checks it before the build starts.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`

	// Source is the base name of the file to encrypt, if the artifact has several disks.
	Source string `mapstructure:"source"`
	// SourceFormat is the format of the source: raw, vhd, qcow2 and so on. The default is to detect it.
	SourceFormat string `mapstructure:"source_format"`

	// Output is the file to write. The default is the name of the source or of the deployment with another extension,
	// beside the source.
	Output string `mapstructure:"output"`
	// Format is luks1, luks2, vhd or qcow2. The default is luks2, or what the profile needs.
	Format string `mapstructure:"format"`
	// Profile is the cloud that the image is for: classic-luks, classic-vhd or vpc-qcow2.
	Profile string `mapstructure:"profile"`
	// Verify decrypts the output and compares it with the source.
	Verify bool `mapstructure:"verify"`

	// KeyFile holds the key. Each byte of it counts.
	KeyFile string `mapstructure:"key_file"`
	// GenerateKey is a file for a new key. It must not exist.
	GenerateKey string `mapstructure:"generate_key"`

	// RootKeyCRN is a root key in Key Protect that wraps the key. Without a key file, the key is stored only in
	// wrapped form.
	RootKeyCRN string `mapstructure:"root_key_crn"`
	// RootKeyFile is a root key in a file that wraps the key: luksimg keygen --kms local:FILE makes one.
	RootKeyFile string `mapstructure:"root_key_file"`
	// Envelope is the file for the wrapped key. The default is the name of the output and ".envelope.json".
	Envelope string `mapstructure:"envelope"`

	// Object is the destination of the upload: cos://REGION/BUCKET/OBJECT.
	Object string `mapstructure:"object"`
	// IBMCloudAPIKey is the API key for Key Protect, Object Storage and VPC. The default is the
	// environment variable IBMCLOUD_API_KEY.
	IBMCloudAPIKey string `mapstructure:"ibmcloud_api_key"`
	// IAMURL, KMSURL and COSURL are URLs of the services. The defaults are IBM's.
	IAMURL string `mapstructure:"iam_url"`
	KMSURL string `mapstructure:"kms_url"`
	COSURL string `mapstructure:"cos_url"`

	// Deploy has the cloud import the object as an image.
	Deploy *Deploy `mapstructure:"deploy"`

	ctx interpolate.Context
}

// A Deploy is the block for the import into the cloud: as a template in classic infrastructure, or an image in VPC.
type Deploy struct {
	// Name is the name of the template or the image.
	Name string `mapstructure:"name" required:"true"`
	// OSCode is the operating system, as the cloud names it.
	OSCode string `mapstructure:"os_code" required:"true"`
	// State is a file for the progress, from which the next build continues after an interruption. The default is the
	// name and ".deploy.json".
	State string `mapstructure:"state"`
	// AnyDisk accepts a disk without a boot signature or cloud-init.
	AnyDisk bool `mapstructure:"any_disk"`

	// SoftLayerUsername and SoftLayerAPIKey are for classic infrastructure. The defaults are the
	// environment variables SL_USERNAME and SL_API_KEY.
	SoftLayerUsername string `mapstructure:"softlayer_username"`
	SoftLayerAPIKey   string `mapstructure:"softlayer_api_key"`
	// ImporterAPIKey is the API key with which classic infrastructure reads the object. The default is
	// IBMCloudAPIKey.
	ImporterAPIKey string `mapstructure:"importer_api_key"`
	// SoftLayerURL and VPCURL are URLs of the services. The defaults are IBM's.
	SoftLayerURL string `mapstructure:"softlayer_url"`
	VPCURL       string `mapstructure:"vpc_url"`
}

// decode decodes and checks the configuration in a template.
func (c *Config) decode(raws ...any) error {
	err := config.Decode(c, &config.DecodeOpts{
		PluginType: "luksimg", Interpolate: true, InterpolateContext: &c.ctx,
		InterpolateFilter: &interpolate.RenderFilter{Exclude: []string{"output", "envelope"}},
	}, raws...)
	if err != nil {
		return err
	}
	c.defaults()
	packersdk.LogSecretFilter.Set(c.secrets()...)
	return c.check()
}

// defaults takes credentials that the template lacks from the environment.
func (c *Config) defaults() {
	from := func(s *string, name string) {
		if *s == "" {
			*s = os.Getenv(name)
		}
	}
	from(&c.IBMCloudAPIKey, "IBMCLOUD_API_KEY")
	if d := c.Deploy; d != nil {
		from(&d.SoftLayerUsername, "SL_USERNAME")
		from(&d.SoftLayerAPIKey, "SL_API_KEY")
		if d.ImporterAPIKey == "" {
			d.ImporterAPIKey = c.IBMCloudAPIKey
		}
		if d.State == "" {
			d.State = d.Name + ".deploy.json"
		}
		if c.Profile == "" {
			c.Profile = string(luksimg.ClassicLUKS)
		}
	}
}

// secrets returns the values that Packer must hide in its output.
func (c *Config) secrets() []string {
	s := []string{c.IBMCloudAPIKey}
	if d := c.Deploy; d != nil {
		s = append(s, d.SoftLayerAPIKey, d.ImporterAPIKey)
	}
	return slices.DeleteFunc(s, func(s string) bool { return s == "" })
}

func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Profile != "" && c.profile().Rules().Format == "" {
		bad("profile: %q is not one of %v", c.Profile, luksimg.Profiles())
	}
	if c.Format != "" && c.Format != string(luksimg.LUKS1) && c.Format != string(luksimg.LUKS2) && c.Format != string(luksimg.VHD) && c.Format != string(luksimg.QCOW2) {
		bad("format: %q is not one of luks1, luks2, vhd and qcow2", c.Format)
	}
	if c.KeyFile != "" && c.GenerateKey != "" {
		bad("key_file and generate_key exclude each other")
	}
	if c.RootKeyCRN != "" && c.RootKeyFile != "" {
		bad("root_key_crn and root_key_file exclude each other")
	}
	if c.KeyFile == "" && c.GenerateKey == "" && !c.wraps() {
		bad("no key: give key_file or generate_key, or root_key_crn or root_key_file to wrap a new key")
	}
	if c.Envelope != "" && !c.wraps() {
		bad("envelope needs root_key_crn or root_key_file to wrap the key")
	}
	if c.Object != "" {
		if _, err := cos.ParseURI(c.Object); err != nil && !(c.Deploy != nil && strings.HasSuffix(c.Object, "/")) {
			errs = append(errs, fmt.Errorf("object: %w", err))
		}
	}
	if (c.Object != "" || c.RootKeyCRN != "") && c.IBMCloudAPIKey == "" {
		bad("ibmcloud_api_key, or the environment variable IBMCLOUD_API_KEY, is needed for object and root_key_crn")
	}
	for name, text := range map[string]string{"output": c.Output, "envelope": c.Envelope} {
		if err := interpolate.Validate(text, &c.ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if c.Deploy != nil {
		errs = append(errs, c.checkDeploy())
	} else {
		errs = append(errs, c.checkEncrypt())
	}
	return errors.Join(errs...)
}

// checkEncrypt checks what is not for a deployment. It looks for the key file because Packer deletes the disk that it
// built if a post-processor fails later.
func (c *Config) checkEncrypt() error {
	if c.GenerateKey != "" {
		if _, err := os.Lstat(c.GenerateKey); err == nil {
			return fmt.Errorf("generate_key: %w", keyExists(&fs.PathError{Op: "create", Path: c.GenerateKey, Err: fs.ErrExist}))
		}
	}
	if c.Format != "" && c.Profile == "" {
		return nil
	}
	return c.encryptOptions().Check()
}

func (c *Config) checkDeploy() error {
	var errs []error
	d := c.Deploy
	for name, value := range map[string]string{"object": c.Object, "root_key_crn": c.RootKeyCRN, "deploy.name": d.Name, "deploy.os_code": d.OSCode} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is missing: a deployment needs it", name))
		}
	}
	if c.Format != "" || c.SourceFormat != "" || c.Verify {
		errs = append(errs, errors.New("format, source_format and verify do not apply to a deployment: its profile sets the format"))
	}
	if c.profile().Rules().Target == "classic" && (d.SoftLayerUsername == "" || d.SoftLayerAPIKey == "") {
		errs = append(errs, errors.New("deploy.softlayer_username and deploy.softlayer_api_key, or SL_USERNAME and SL_API_KEY, are needed for classic infrastructure"))
	}
	return errors.Join(errs...)
}

func (c *Config) profile() luksimg.Profile { return luksimg.Profile(c.Profile) }

// wraps reports whether a root key wraps the key.
func (c *Config) wraps() bool { return c.RootKeyCRN != "" || c.RootKeyFile != "" }

// made returns the format of the output.
func (c *Config) made() luksimg.Format {
	switch {
	case c.Format != "":
		return luksimg.Format(c.Format)
	case c.Profile != "":
		return c.profile().Rules().Format
	}
	return luksimg.LUKS2
}

func (c *Config) encryptOptions() luksimg.EncryptOptions {
	return luksimg.EncryptOptions{Profile: c.profile(), Format: luksimg.Format(c.Format)}
}

// names returns the names of the output and the envelope for a source.
func (c *Config) names(source string) (output, envelope string, err error) {
	base := strings.TrimSuffix(source, filepath.Ext(source))
	if d := c.Deploy; d != nil {
		base = filepath.Join(filepath.Dir(source), d.Name) // another deployment has other files
	}
	if output, err = interpolate.Render(c.Output, &c.ctx); err != nil {
		return "", "", err
	}
	if output == "" {
		output = base + c.extension()
	}
	if envelope, err = interpolate.Render(c.Envelope, &c.ctx); err != nil {
		return "", "", err
	}
	if envelope == "" && c.wraps() {
		envelope = output + ".envelope.json"
	}
	return output, envelope, nil
}

// extension returns the extension of an output that the template does not name. It differs from those of unencrypted
// images.
func (c *Config) extension() string {
	if end := c.profile().Rules().Extension; end != "" {
		return ".encrypted" + end
	}
	switch c.made() {
	case luksimg.VHD:
		return ".encrypted.vhd"
	case luksimg.QCOW2:
		return ".encrypted.qcow2"
	}
	return ".luks"
}
