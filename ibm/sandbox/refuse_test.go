package sandbox_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// classicLUKS creates the image of the profile, without its checks of the key.
var classicLUKS = luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, DataOffset: 2 << 20, GeneratedKey: true}}

// TestKeyConvention encrypts with values that are easily confused with the key.
func TestKeyConvention(t *testing.T) {
	w := ready(t)
	w.encrypt(luksimg.ClassicLUKS)
	decoded, err := base64.StdEncoding.DecodeString(string(w.material))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.classic(w.request(w.upload("decoded.raw", w.seal(decoded, classicLUKS))))
	refused(t, err, "OPEN_IMAGE", "the image opens with the decoded key", "encrypt it again, with the base64 text itself as passphrase")

	_, err = w.classic(w.request(w.upload("newline.raw", w.seal(append(bytes.Clone(w.material), '\n'), classicLUKS))))
	refused(t, err, "OPEN_IMAGE", "newline", "encrypt it again, with only the base64 text as passphrase")

	_, err = w.classic(w.request(w.upload("other.raw", w.seal([]byte("an altogether different passphrase"), classicLUKS))))
	refused(t, err, "OPEN_IMAGE", "does not open with the wrapped key")

	// A VHD contains the hash of its key.
	vhd := w.encrypt(luksimg.ClassicVHD)
	w.wrapped([]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 64))))
	_, err = w.classic(w.request(w.upload("other.vhd-0.vhd", vhd)))
	refused(t, err, "OPEN_IMAGE", "does not open with the wrapped key")

	w.wrapped([]byte(base64.StdEncoding.EncodeToString([]byte("a key of 24 bytes or so "))))
	_, err = w.classic(w.request(w.upload("short.vhd-0.vhd", vhd)))
	refused(t, err, "OPEN_IMAGE", "24 bytes", "32 or 64")
}

// TestVPCKeyConvention does the same for VPC, whose convention is the opposite.
func TestVPCKeyConvention(t *testing.T) {
	w := ready(t)
	image := w.encrypt(luksimg.VPCQCOW2)
	uri := w.upload("web.qcow2", image)
	status := func(code, words string) {
		t.Helper()
		_, err := w.vpcImage(uri)
		var e *vpc.StatusError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), words) || len(e.Reasons) != 1 || e.Reasons[0].Code != code {
			t.Errorf("%v, want %s %q", err, code, words)
		}
		w.deleteImages()
	}
	good := w.wdek

	w.wrapped([]byte(base64.StdEncoding.EncodeToString(append(bytes.Clone(w.material), '\n'))))
	status("image_data_corrupted", "The wrapped passphrase ends with a newline")

	text := []byte(base64.StdEncoding.EncodeToString(w.material))
	uri = w.upload("base64.qcow2", w.seal(text, luksimg.EncryptOptions{Profile: luksimg.VPCQCOW2}))
	w.wdek = good
	status("image_data_corrupted", "encrypt it again, with the decoded text as passphrase")

	uri = w.upload("web.qcow2", image)
	if err := w.keyAction("disable"); err != nil {
		t.Fatal(err)
	}
	status("encryption_key_disabled", "disabled")
	if err := w.keyAction("enable"); err != nil {
		t.Fatal(err)
	}

	w.wdek = w.wrapByOther([]byte(base64.StdEncoding.EncodeToString(w.material)))
	status("encrypted_data_key_invalid", "wrapped with another root key")
}

// deleteImages frees the name for another image.
func (w *world) deleteImages() {
	w.t.Helper()
	all, err := w.vpc.Images(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range all {
		if err := w.vpc.DeleteImage(w.t.Context(), i.ID); err != nil {
			w.t.Fatal(err)
		}
	}
}

// wrapByOther wraps text with another root key than that of the image.
func (w *world) wrapByOther(text []byte) string {
	w.t.Helper()
	other, err := w.root(w.KMSInstance).CreateRootKey(w.t.Context(), "other")
	if err != nil {
		w.t.Fatal(err)
	}
	wdek, err := w.root(other.CRN).Wrap(w.t.Context(), text)
	if err != nil {
		w.t.Fatal(err)
	}
	return wdek
}

// keyAction executes a key action that the client of this module lacks.
func (w *world) keyAction(action string) error {
	if action == "enable" {
		w.ahead.Add(int64(30 * time.Second)) // a key cannot be enabled right after it was disabled
	}
	token, err := w.iam.Token(w.t.Context())
	if err != nil {
		return err
	}
	c := w.kp.CRN()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.Settings.KMS+"/api/v2/keys/"+c.Resource+"/actions/"+action, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", token.Header())
	r.Header.Set("Bluemix-Instance", c.Instance)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode >= 300 {
		return errors.New(answer.Status)
	}
	return nil
}

// TestWrongKeyService tests all errors of the wrapped key and its root key.
func TestWrongKeyService(t *testing.T) {
	w := ready(t)
	image := w.encrypt(luksimg.ClassicLUKS)
	uri := w.upload("web.raw", image)

	r := w.request(uri)
	r.WrappedDEK = w.wrapByOther(w.material)
	_, err := w.classic(r)
	refused(t, err, "UNWRAP_KEY", "UNPROCESSABLE_CIPHERTEXT_ERR", "wrapped with another root key", "or wrap it again")

	r = w.request(uri)
	r.RootKeyCRN = r.RootKeyCRN[:len(r.RootKeyCRN)-12] + "000000000000"
	_, err = w.classic(r)
	refused(t, err, "UNWRAP_KEY", "KEY_NOT_FOUND_ERR", "check the CRN")

	if err := w.keyAction("disable"); err != nil {
		t.Fatal(err)
	}
	_, err = w.classic(w.request(uri))
	refused(t, err, "UNWRAP_KEY", "KEY_ACTION_INVALID_STATE_ERR", "enable it, and import again")
	if _, err := w.kp.Wrap(t.Context(), w.material); !errors.Is(err, wrap.ErrKeyState) {
		t.Errorf("wrapping with a suspended key: %v", err)
	}
	if err := w.keyAction("enable"); err != nil {
		t.Fatal(err)
	}
	template, err := w.classic(w.request(uri))
	if err != nil {
		t.Fatal(err)
	}

	// A server of a good image does not start when the key is disabled.
	if err := w.keyAction("disable"); err != nil {
		t.Fatal(err)
	}
	_, err = w.order(template)
	refused(t, err, "UNWRAP_KEY", "the root key is suspended")
}

// TestAuthorization imports without the authorizations of setup, and then grants them.
func TestAuthorization(t *testing.T) {
	for _, late := range []bool{false, true} {
		w := start(t, sandbox.Options{Bucket: bucket, AuthorizeLate: late})
		uri := w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS))
		template, err := w.classic(w.request(uri))
		if late {
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.order(template)
		}
		refused(t, err, "CHECK_AUTHORIZATION", "server-protect", "grant it the role Reader")

		if _, err := w.iam.CreatePolicy(t.Context(), iam.Authorization(w.Account, iam.BlockStorage, iam.KeyProtect, w.kp.CRN().Instance)); err != nil {
			t.Fatal(err)
		}
		if template, err = w.classic(w.request(uri)); err != nil {
			t.Fatal(err)
		}
		if _, err = w.order(template); err != nil {
			t.Error(err)
		}
	}
}

// TestWrongObject imports other objects than the image.
func TestWrongObject(t *testing.T) {
	w := ready(t)
	image := w.encrypt(luksimg.ClassicLUKS)
	_, err := w.classic(w.request(w.upload("cut.raw", image[:len(image)/2])))
	refused(t, err, "CHECK_BOOT_SECTOR", "truncated", "compare the length of the object with that of the file")
	_, err = w.classic(w.request(w.upload("header.raw", image[:1<<20])))
	refused(t, err, "OPEN_IMAGE")

	_, err = w.classic(w.request("cos://us-south/" + bucket + "/none.raw"))
	refused(t, err, "FETCH_OBJECT", "does not exist")
	_, err = w.classic(w.request(strings.Replace(w.upload("web.raw", image), "us-south", "us-east", 1)))
	refused(t, err, "FETCH_OBJECT", "the bucket images is in us-south, not in us-east", "name its region")

	_, err = w.classic(w.request(w.upload("plain.raw", w.plain)))
	refused(t, err, "OPEN_IMAGE", "must be encrypted with LUKS1")

	w.plain = make([]byte, 4<<20)
	_, err = w.classic(w.request(w.upload("empty.raw", w.encrypt(luksimg.ClassicLUKS))))
	refused(t, err, "CHECK_BOOT_SECTOR", "no boot signature")
}

// TestOtherRegion uses a bucket and a root key in different regions.
func TestOtherRegion(t *testing.T) {
	w := ready(t)
	image := w.encrypt(luksimg.ClassicLUKS)
	if err := w.cos.CreateBucket(t.Context(), "eu-de", "frankfurt", cos.BucketOptions{}); err != nil {
		t.Fatal(err)
	}
	o := cos.Object{Region: "eu-de", Bucket: "frankfurt", Key: "web.raw"}
	if _, err := w.cos.Upload(t.Context(), o, bytes.NewReader(image), int64(len(image)), cos.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.classic(w.request(o.String()))
	refused(t, err, "CHECK_REGION", "the root key is in us-south and the bucket in eu-de: they must be in the same region")
}

// TestServiceID imports with the API key of a service ID, which has exactly the permissions
// that it was granted.
func TestServiceID(t *testing.T) {
	w := start(t, sandbox.Options{Bucket: bucket, Authorize: true, AuthorizeLate: true})
	uri := w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS))
	id, err := w.iam.CreateServiceID(t.Context(), w.Account, "importer", "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.iam.CreateAPIKey(t.Context(), w.Account, id.IAMID, "import", "")
	if err != nil {
		t.Fatal(err)
	}
	request := func() softlayer.ImportRequest {
		r := w.request(uri)
		r.APIKey = string(key.Value)
		return r
	}
	_, err = w.classic(request())
	refused(t, err, "FETCH_OBJECT", "importer has no sufficient role for Cloud Object Storage", "grant it Reader")

	if _, err := w.iam.CreatePolicy(t.Context(), iam.Access(w.Account, id.IAMID, "cloud-object-storage", "", iam.RoleReader)); err != nil {
		t.Fatal(err)
	}
	_, err = w.classic(request())
	refused(t, err, "UNWRAP_KEY", "does not have access", "grant the role Reader")

	if _, err := w.iam.CreatePolicy(t.Context(), iam.Access(w.Account, id.IAMID, iam.KeyProtect, w.kp.CRN().Instance, iam.RoleReader)); err != nil {
		t.Fatal(err)
	}
	if _, err = w.classic(request()); err != nil {
		t.Error(err)
	}

	// It has read access only.
	reader, err := cos.New(cos.Options{Endpoint: w.COS, Tokens: w.identity(string(key.Value)), Clock: fastClock{}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := cos.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Head(t.Context(), o); err != nil {
		t.Error(err)
	}
	if _, err := reader.Upload(t.Context(), o, strings.NewReader("x"), 1, cos.UploadOptions{}); !errors.Is(err, cos.ErrAccess) {
		t.Errorf("upload by a reader: %v", err)
	}
	r := request()
	r.APIKey += "x"
	_, err = w.classic(r)
	refused(t, err, "GET_TOKEN", "BXNIM0415E", "create a new one")
}
