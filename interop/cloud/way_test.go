package cloud

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/IBM/ibm-cos-sdk-go/aws"
	"github.com/IBM/ibm-cos-sdk-go/service/s3"
	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/wrap"
)

// A way holds everything that an encrypted image needs before its import, created with SDKs. It has a service ID with
// an API key, the authorizations that IBM documents, a key ring with an imported root key,
// and a bucket that this key protects.
type way struct {
	*account
	t   *testing.T
	cos *cosClient
	kp  *kp.Client

	bucket, rootKey, keyID string
	importer               string // API key
}

func newWay(t *testing.T) *way {
	s := start(t, sandbox.Options{})
	w := &way{account: newAccount(t, s), t: t, bucket: "images"}
	w.authorize("cloud-object-storage", "", "kms", reader)
	w.authorize("server-protect", "", "kms", reader)
	w.authorize("is", "image", "cloud-object-storage", reader)
	_, w.importer = w.serviceID("importer", "kms", "cloud-object-storage")

	if err := keys(t, w.Settings, w.APIKey, "").CreateKeyRing(ctx, "images"); err != nil {
		t.Fatal(err)
	}
	w.kp = keys(t, w.Settings, w.APIKey, "images")
	k := importKey(t, w.kp, "byok", noise(32, 11))
	w.rootKey, w.keyID = k.CRN, k.ID

	a := path(s)
	w.cos = newCOSByIAM(t, a).(*cosClient)
	_, err := w.cos.CreateBucket(&s3.CreateBucketInput{
		Bucket: &w.bucket, CreateBucketConfiguration: &s3.CreateBucketConfiguration{LocationConstraint: aws.String("us-south-smart")},
		IBMSSEKPEncryptionAlgorithm: aws.String("AES256"), IBMSSEKPCustomerRootKeyCrn: &w.rootKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

type disk struct{ *bytes.Reader }

func (d disk) Size() int64 { return d.Reader.Size() }

// newDisk returns a disk of 4 MiB with a partition.
func newDisk() []byte {
	b := make([]byte, 4*mib)
	b[446+4] = 0x83
	binary.LittleEndian.PutUint32(b[446+8:], 2048)
	binary.LittleEndian.PutUint32(b[446+12:], uint32(len(b)/512-2048))
	b[510], b[511] = 0x55, 0xaa
	copy(b[2*mib:], noise(mib, 12))
	return b
}

// image encrypts a disk with a new key, wraps the key, and uploads the image. It returns the wrapped key.
func (w *way) image(p luksimg.Profile, size wrap.Size, key string) string {
	w.t.Helper()
	rule := wrap.Convention(p)
	dek, err := wrap.NewDEK(size)
	if err != nil {
		w.t.Fatal(err)
	}
	material, err := rule.Material(dek)
	if err != nil {
		w.t.Fatal(err)
	}
	k, err := rule.Keys(material)
	if err != nil {
		w.t.Fatal(err)
	}
	wdek, err := w.kp.Wrap(ctx, w.keyID, k.Plaintext, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(w.t.TempDir(), "image"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := luksimg.Encrypt(ctx, f, disk{bytes.NewReader(newDisk())}, k.Disk, luksimg.EncryptOptions{Profile: p}); err != nil {
		w.t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.cos.multipart(w.bucket, key, b); err != nil {
		w.t.Fatal(err)
	}
	return string(wdek)
}

// told fails unless the audit log has the complete chain of an image and a server.
func (w *way) told(image, server string) {
	w.t.Helper()
	r, err := http.Get(w.Control + "/events")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	events, skipped, err := audit.Read(bytes.NewReader(text), audit.ReadOptions{})
	if err != nil || skipped.Records != 0 {
		w.t.Fatalf("%+v, %v", skipped, err)
	}
	report := audit.Chain(events, audit.Query{RootKeyCRN: w.rootKey, ImageID: image, ServerID: server})
	if len(report.Gaps) != 0 || len(report.Refusals) != 0 {
		w.t.Errorf("gaps %+v, refusals %+v", report.Gaps, report.Refusals)
	}
	for _, stage := range audit.Stages {
		if !slices.ContainsFunc(report.Steps, func(s audit.Step) bool { return s.Stage == stage }) {
			w.t.Errorf("no %s in %+v", stage, report.Steps)
		}
	}
}

// TestBucketKey creates a bucket protected by a root key, and tries one with a missing key.
func TestBucketKey(t *testing.T) {
	w := newWay(t)
	head, err := w.cos.HeadBucket(&s3.HeadBucketInput{Bucket: &w.bucket})
	if err != nil || aws.StringValue(head.IBMSSEKPCrkId) != w.rootKey || !aws.BoolValue(head.IBMSSEKPEnabled) {
		t.Errorf("%v, %v", head, err)
	}
	list, err := w.cos.ListBucketsExtended(&s3.ListBucketsExtendedInput{})
	if err != nil || len(list.Buckets) != 1 || *list.Buckets[0].Name != w.bucket || aws.StringValue(list.Buckets[0].LocationConstraint) != "us-south-smart" {
		t.Errorf("%v, %v", list, err)
	}
	if r, err := w.kp.ListRegistrations(ctx, w.keyID, ""); err != nil || len(r.Registrations) != 1 {
		t.Errorf("registrations of the key: %+v, %v", r, err)
	}
	none := w.rootKey[:len(w.rootKey)-36] + "00000000-0000-4000-8000-000000000000"
	if _, err := w.cos.CreateBucket(&s3.CreateBucketInput{
		Bucket: aws.String("other"), IBMSSEKPEncryptionAlgorithm: aws.String("AES256"), IBMSSEKPCustomerRootKeyCrn: &none,
	}); err == nil {
		t.Error("bucket with a missing root key created")
	}
}
