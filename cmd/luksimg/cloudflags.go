package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// Names of the services whose URL a flag can set.
const (
	serviceIAM       = "iam"
	serviceKMS       = "kms"
	serviceCOS       = "cos"
	serviceSoftLayer = "softlayer"
	serviceVPC       = "vpc"
	serviceLogs      = "logs"
)

// services lists the environment variable for the URL of each service, and the name of the service in the help. The
// flags are --iam-url and so on.
var services = map[string]struct{ variable, name string }{
	serviceIAM:       {"IBMCLOUD_IAM_URL", "IAM"},
	serviceKMS:       {"LUKSIMG_KMS_URL", "Key Protect"},
	serviceCOS:       {"LUKSIMG_COS_URL", "Object Storage"},
	serviceSoftLayer: {"SL_ENDPOINT_URL", "the SoftLayer API"},
	serviceVPC:       {"LUKSIMG_VPC_URL", "VPC"},
	serviceLogs:      {"LUKSIMG_LOGS_URL", "Cloud Logs"},
}

// Environment variables with credentials. No flag accepts a secret, because every user of the machine could see it.
const (
	envAPIKey = "IBMCLOUD_API_KEY"
	envSLUser = "SL_USERNAME"
	envSLKey  = "SL_API_KEY"
)

// hmacNames are the environment variables of HMAC credentials: those of an Object Storage service credential, and
// those of programs that use S3.
var hmacNames = [][2]string{
	{"COS_HMAC_ACCESS_KEY_ID", "COS_HMAC_SECRET_ACCESS_KEY"},
	{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
}

// envRootKey names a root key. The name is not a secret.
const envRootKey = "LUKSIMG_ROOT_KEY_CRN"

// envCOSInstance names an instance of Object Storage.
const envCOSInstance = "LUKSIMG_COS_INSTANCE_CRN"

// cosHelp is part of the help of verbs that use Object Storage.
const cosHelp = cloudHelp + ` Without it,
luksimg uses the HMAC credentials in COS_HMAC_ACCESS_KEY_ID and COS_HMAC_SECRET_ACCESS_KEY, or in
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`

// cloudHelp is part of the help of verbs that use IBM Cloud.
const cloudHelp = `

Credentials come from the environment: IBMCLOUD_API_KEY holds an API key, or @FILE to read it from FILE.`

// cloudFlags select the endpoints of IBM Cloud services.
type cloudFlags struct {
	urls      map[string]*string
	network   string
	private   bool // an alias of --network private
	keyRing   string
	dedicated bool
	settle    time.Duration // how long to check whether a call with a lost reply took effect; 0 is the client's default

	identity *iam.Client
	pins     *pinBook // of PKCS#11 tokens
}

// add adds the flags for these services and for IAM, unless the verb has them.
func (o *cloudFlags) add(c *cobra.Command, names ...string) {
	f := c.Flags()
	if o.urls == nil {
		o.urls = map[string]*string{}
	}
	if f.Lookup("private") == nil {
		f.StringVar(&o.network, "network", "", "use the endpoints of IBM Cloud on this `NETWORK`: public (default), private (classic infrastructure, Direct Link) or direct (a VPC)")
		f.BoolVar(&o.private, "private", false, "as --network private")
	}
	if slices.Contains(names, serviceKMS) && f.Lookup("key-ring") == nil {
		f.StringVar(&o.keyRing, "key-ring", "", "`ID` of the root key's key ring (default: every key ring that this identity can use)")
		f.BoolVar(&o.dedicated, "kms-dedicated", false, "the instance is in Key Protect Dedicated, at INSTANCE.api.REGION.kms.appdomain.cloud")
	}
	for _, s := range append([]string{serviceIAM}, names...) {
		if o.urls[s] == nil {
			o.urls[s] = new(string)
		}
		if name := s + "-url"; f.Lookup(name) == nil {
			f.StringVar(o.urls[s], name, "", "another `URL` for "+services[s].name+" (default: $"+services[s].variable+", else IBM's)")
		}
	}
}

// addSettle adds --settle to verbs whose calls must not take effect twice.
func (o *cloudFlags) addSettle(c *cobra.Command) {
	c.Flags().DurationVar(&o.settle, "settle", 2*time.Minute, "how long to check whether a call with a lost reply took effect before retrying it, and to wait for a new authorization")
}

// url returns the URL of a service from the flag or the environment, or "".
func (o *cloudFlags) url(service string) string {
	if u := o.urls[service]; u != nil && *u != "" {
		return *u
	}
	return os.Getenv(services[service].variable)
}

// setting returns the flag or the environment variable that url reads.
func (o *cloudFlags) setting(service string) string {
	if u := o.urls[service]; u != nil && *u != "" {
		return "--" + service + "-url"
	}
	return services[service].variable
}

// named adds the flag or the environment variable of a service to the error for its URL.
func (o *cloudFlags) named(service string, err error) error {
	return namedSetting(o.setting(service), err)
}

// namedSetting adds the name of a setting to the error for the URL in it. It does not change other errors.
func namedSetting(name string, err error) error {
	if !errors.Is(err, rest.ErrAddress) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// net returns the network that the flags select, "" for the default.
func (o *cloudFlags) net() (string, error) {
	if err := endpoint.Check(o.network); err != nil {
		return "", fmt.Errorf("--%w", err)
	}
	if o.private {
		if o.network != "" && o.network != endpoint.Private {
			return "", errors.New("--private and --network " + o.network + " exclude each other")
		}
		return endpoint.Private, nil
	}
	return o.network, nil
}

// credential returns the value of an environment variable without surrounding space. If the value is @FILE, it
// returns the content of the file. The caller wipes it.
func credential(ctx context.Context, name string) ([]byte, error) {
	value := os.Getenv(name)
	if value == "" {
		return nil, rest.WithHint(fmt.Errorf("no credentials: %s is not set", name),
			"set "+name+" to the API key, or to @FILE for a file that holds it")
	}
	file, ok := strings.CutPrefix(value, "@")
	if !ok {
		return []byte(strings.TrimSpace(value)), nil
	}
	return keys.ReadAPIKey(ctx, name, file)
}

// iam returns the identity of the API key in the environment. All services share it.
func (o *cloudFlags) iam(ctx context.Context) (*iam.Client, error) {
	if o.identity != nil {
		return o.identity, nil
	}
	network, err := o.net()
	if err != nil {
		return nil, err
	}
	key, err := credential(ctx, envAPIKey)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	identity, err := iam.New(iam.Options{URL: o.url(serviceIAM), Network: network, APIKey: key})
	if err != nil {
		return nil, o.named(serviceIAM, err)
	}
	o.identity = identity
	return identity, nil
}

// keyProtect returns a client for the CRN of a root key or of an instance. correlation can be "".
func (o *cloudFlags) keyProtect(ctx context.Context, crn, correlation string) (*keyprotect.Client, error) {
	network, err := o.net()
	if err != nil {
		return nil, err
	}
	tokens, err := o.iam(ctx)
	if err != nil {
		return nil, err
	}
	c, err := keyprotect.New(keyprotect.Options{CRN: crn, Tokens: tokens, URL: o.url(serviceKMS), Network: network, Dedicated: o.dedicated,
		KeyRing: o.keyRing, CorrelationID: correlation})
	return c, o.named(serviceKMS, err)
}

// cos returns a client of Object Storage. It uses the API key if there is one, and otherwise HMAC credentials.
// instance is the CRN of the service instance, needed only to create a bucket.
func (o *cloudFlags) cos(ctx context.Context, instance string) (*cos.Client, error) {
	network, err := o.net()
	if err != nil {
		return nil, err
	}
	opts := cos.Options{Endpoint: o.url(serviceCOS), ServiceInstanceID: instance, Network: network}
	for _, names := range hmacNames {
		if os.Getenv(envAPIKey) != "" || os.Getenv(names[0]) == "" {
			continue
		}
		secret, err := credential(ctx, names[1])
		if err != nil {
			return nil, err
		}
		// The client keeps the secret for the lifetime of the process.
		opts.HMAC = &cos.HMAC{AccessKeyID: os.Getenv(names[0]), SecretAccessKey: secret}
		c, err := cos.New(opts)
		return c, o.named(serviceCOS, err)
	}
	identity, err := o.iam(ctx)
	if err != nil {
		return nil, err
	}
	opts.Tokens = identity
	c, err := cos.New(opts)
	return c, o.named(serviceCOS, err)
}

// isCOS reports whether a name is a cos:// URI, which names an object in Object Storage.
func isCOS(name string) bool { return strings.HasPrefix(name, "cos://") }

// softLayer returns the user name and the API key for classic infrastructure. The caller wipes the key.
func (o *cloudFlags) softLayer(ctx context.Context) (user string, key []byte, err error) {
	if user = os.Getenv(envSLUser); user == "" {
		return "", nil, rest.WithHint(errors.New("no credentials: SL_USERNAME is not set"),
			"set SL_USERNAME and SL_API_KEY to those of classic infrastructure: cloud.ibm.com, Manage, Access (IAM), API keys")
	}
	key, err = credential(ctx, envSLKey)
	return user, key, err
}
