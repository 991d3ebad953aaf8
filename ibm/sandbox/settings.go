package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
)

// Settings are the addresses and credentials of a [Sandbox]. String and fmt do not show the
// credentials; JSON and [Settings.Env] do.
type Settings struct {
	// Addresses of the services, without a trailing slash.
	IAM       string `json:"iam_url"`
	KMS       string `json:"kms_url"`
	COS       string `json:"cos_url"`
	SoftLayer string `json:"softlayer_url"` // with /rest/v3.1
	VPC       string `json:"vpc_url"`
	Logs      string `json:"logs_url"`    // without /v1/query
	Control   string `json:"control_url"` // base address of /events and /faults

	Region  string `json:"region"`
	Account string `json:"account"`
	Bucket  string `json:"bucket,omitempty"` // bucket created by Start

	KMSInstance string `json:"kms_instance_crn"`
	RootKey     string `json:"root_key_crn"`
	COSInstance string `json:"cos_instance_crn"`

	APIKey          string `json:"api_key"`           // IAM API key
	User            string `json:"softlayer_user"`    // SoftLayer user
	UserKey         string `json:"softlayer_api_key"` // SoftLayer API key
	AccessKeyID     string `json:"hmac_access_key_id"`
	SecretAccessKey string `json:"hmac_secret_access_key"`
}

// String returns the control address, without the credentials.
func (s Settings) String() string { return "sandbox at " + s.Control }

// GoString returns String.
func (s Settings) GoString() string { return s.String() }

// Settings returns the addresses and credentials of the sandbox.
func (s *Sandbox) Settings() Settings { return s.settings }

// Env returns the settings as environment variables for luksimg, each as NAME=VALUE. No value needs
// quoting in a shell.
func (s Settings) Env() []string {
	var env []string
	for _, v := range [][2]string{
		{"IBMCLOUD_API_KEY", s.APIKey},
		{"IBMCLOUD_ACCOUNT_ID", s.Account},
		{"IBMCLOUD_REGION", s.Region},
		{"SL_USERNAME", s.User},
		{"SL_API_KEY", s.UserKey},
		{"AWS_ACCESS_KEY_ID", s.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", s.SecretAccessKey},
		{"IBMCLOUD_IAM_URL", s.IAM},
		{"LUKSIMG_KMS_URL", s.KMS},
		{"LUKSIMG_COS_URL", s.COS},
		{"SL_ENDPOINT_URL", s.SoftLayer},
		{"LUKSIMG_VPC_URL", s.VPC},
		{"LUKSIMG_LOGS_URL", s.Logs},
		{"LUKSIMG_KMS_INSTANCE_CRN", s.KMSInstance},
		{"LUKSIMG_ROOT_KEY_CRN", s.RootKey},
		{"LUKSIMG_COS_INSTANCE_CRN", s.COSInstance},
		{"LUKSIMG_BUCKET", s.Bucket},
		{"LUKSIMG_SANDBOX_URL", s.Control},
	} {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// seed holds the initial resources of a new sandbox. It is saved in a file.
type seed struct {
	APIKey          string `json:"api_key"`
	User            string `json:"softlayer_user"`
	UserKey         string `json:"softlayer_api_key"`
	AccessKeyID     string `json:"hmac_access_key_id"`
	SecretAccessKey string `json:"hmac_secret_access_key"`
	KMSInstance     string `json:"kms_instance_crn"`
	RootKey         string `json:"root_key_crn"`
	COSInstance     string `json:"cos_instance_crn"`
	COSInstanceID   string `json:"cos_instance_id"`
}

// plant loads or creates the state of the key service and the seed.
func (s *Sandbox) plant() error {
	found, err := s.loadSeed()
	if err != nil {
		return err
	}
	if !found {
		owner, key := s.kms.AddUser("owner@example.com")
		s.seed = seed{
			APIKey: key, User: "SL" + digits(6), UserKey: hexText(32), AccessKeyID: hexText(16), SecretAccessKey: hexText(24),
			KMSInstance: s.kms.AddInstance("kms", Region), COSInstanceID: newID(),
		}
		s.seed.COSInstance = fmt.Sprintf("crn:v1:bluemix:public:cloud-object-storage:global:a/%s:%s::", s.kms.Account(), s.seed.COSInstanceID)
		if s.seed.RootKey, err = s.kms.AddRootKey(s.seed.KMSInstance, "luksimg"); err != nil {
			return err
		}
		// Log the creation of the root key, as the API would.
		e := event.New(s.o.Now(), "kms.secrets.create", http.StatusCreated)
		e.Message, e.LogSourceCRN = "Key Protect: kms.secrets.create", s.seed.KMSInstance
		e.Initiator = event.Initiator{ID: owner.IAMID, Name: owner.Name, TypeURI: "service/security/account/user", Credential: event.Credential{Type: "token"}}
		e.Target = event.Target{ID: s.seed.RootKey, Name: "luksimg", TypeURI: "kms/secrets"}
		s.journal.add(e)
	}
	s.settings = Settings{
		Region: Region, Account: s.kms.Account(), Bucket: s.o.Bucket, KMSInstance: s.seed.KMSInstance, RootKey: s.seed.RootKey,
		COSInstance: s.seed.COSInstance, APIKey: s.seed.APIKey, User: s.seed.User, UserKey: s.seed.UserKey,
		AccessKeyID: s.seed.AccessKeyID, SecretAccessKey: s.seed.SecretAccessKey,
	}
	return nil
}

func encode(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}

// Text returns the settings as JSON, or as lines for a shell.
func (s Settings) Text(asJSON bool) ([]byte, error) {
	if asJSON {
		text, err := json.MarshalIndent(s, "", "  ")
		return append(text, '\n'), err
	}
	var b strings.Builder
	for _, v := range s.Env() {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return []byte(b.String()), nil
}
