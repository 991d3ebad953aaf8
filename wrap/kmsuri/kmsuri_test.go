package kmsuri_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

const (
	crn   = "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:a192d603-0b8d-452f-aac3-f9e1f95e7411:key:88d649f8-41b8-4426-b52b-45c88953d5b8"
	arn   = "arn:aws:kms:eu-central-1:111122223333:key/88d649f8-41b8-4426-b52b-45c88953d5b8"
	china = "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-88d649f841b84426b52b45c88953d5b8"
)

func TestParse(t *testing.T) {
	for _, s := range []string{
		"local:root.key", "local:a:b", "ibm", "ibm:" + crn, "vault", "vault:transit/images", "vault:team/a/transit/my-key.1",
		"awskms", "awskms:" + arn, "awskms:" + china, "pkcs11", "pkcs11:token=a%20b;object=k;id=%01%FF?module-path=/usr/lib/x.so&pin-source=/run/pin", "awskms:" + strings.Replace(arn, "eu-central-1", "us-gov-east-1", 1),
	} {
		u, err := kmsuri.Parse(s)
		if err != nil || u.String() != s {
			t.Errorf("%s became %q: %v", s, u, err)
		}
	}
	for s, why := range map[string]string{
		"":                                    "no such scheme",
		"root.key":                            "no such scheme",
		"LOCAL:x":                             "no such scheme",
		"local":                               "names no key",
		"local:":                              "names no key",
		"ibm:":                                "names no key",
		"ibm:x":                               "not the CRN of a root key",
		"ibm:" + crn[:100]:                    "not the CRN of a root key",
		"vault:images":                        "want MOUNT/KEY",
		"vault:/images":                       "want MOUNT/KEY",
		"vault:transit/":                      "want MOUNT/KEY",
		"vault:../sys/images":                 "want MOUNT/KEY",
		"vault:transit/../x":                  "want MOUNT/KEY",
		"vault:transit//x":                    "want MOUNT/KEY",
		"vault:transit/a?b":                   "want MOUNT/KEY",
		"vault:transit/a%2fb":                 "want MOUNT/KEY",
		"vault:t/" + strings.Repeat("x", 600): "want MOUNT/KEY",
		"awskms:x":                            "want the ARN",
		"awskms:" + arn + "/":                 "want the ARN",
		"awskms:" + arn + "\n":                "want the ARN",
		"awskms:arn:aws:kms:evil.example:111122223333:key/1":    "want the ARN",
		"awskms:arn:aws:kms:eu-central-1:111122223333:alias/my": "alias",
		"awskms:arn:aws:s3:eu-central-1:111122223333:key/1":     "want the ARN",
		"pkcs11:":                   "names no key",
		"pkcs11:token":              "want NAME=VALUE",
		"pkcs11:token=":             "token is empty",
		"pkcs11:token=%2":           "without two hexadecimal digits",
		"pkcs11:token=%zz":          "without two hexadecimal digits",
		"pkcs11:token=a%00":         "not printable",
		"pkcs11:token=%ff":          "not printable",
		"pkcs11:token=x;":           "want NAME=VALUE",
		"pkcs11:token=x;token=y":    "appears twice",
		"pkcs11:token=x;x-vendor=y": "unknown attribute",
		"pkcs11:object=x;type=cert": "type is",
		"pkcs11:object=x?module-path=/a&module-path=/b": "appears twice",
		"pkcs11:object=x?max=1":                         "unknown attribute",
		"pkcs11:object=x?pin-source=|cat":               "not a program",
		"pkcs11:object=x?pin-source=%7ccat":             "not a program",
		"pkcs11:object=" + strings.Repeat("x", 5000):    "more than 4096",
		"pkcs11:object=x?pin-value=1234":                "all users of the machine",
	} {
		if u, err := kmsuri.Parse(s); !errors.Is(err, kmsuri.ErrURI) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q became %q: %v; want %q", s, u, err, why)
		}
	}
}

func TestFor(t *testing.T) {
	local := &wrap.Envelope{KMS: "local:0123456789abcdef"}
	ibm := &wrap.Envelope{RootKeyCRN: crn}
	vault := &wrap.Envelope{KMS: "vault:transit/images"}
	for _, c := range []struct {
		uri  string
		e    *wrap.Envelope
		want string // "" for an error
	}{
		{"local:root.key", local, "local:root.key"},
		{"local:root.key", vault, ""},
		{"ibm", ibm, "ibm:" + crn},
		{"ibm:" + crn, ibm, "ibm:" + crn},
		{"ibm", local, ""},
		{"ibm:" + strings.Replace(crn, "88d6", "88d7", 1), ibm, ""},
		{"vault", vault, "vault:transit/images"},
		{"vault:transit/images", vault, "vault:transit/images"},
		{"vault:transit/image", vault, ""},
		{"awskms", vault, ""},
		{"awskms", &wrap.Envelope{KMS: "awskms:" + arn}, "awskms:" + arn},
		{"awskms:" + china, &wrap.Envelope{KMS: "awskms:" + arn}, ""},
	} {
		u, err := kmsuri.Parse(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.For(c.e)
		if c.want == "" && !errors.Is(err, kmsuri.ErrOther) || c.want != "" && (err != nil || got.String() != c.want) {
			t.Errorf("%s for %s%s: %s, %v; want %q", c.uri, c.e.KMS, c.e.RootKeyCRN, got, err, c.want)
		}
	}
	// An image must not choose the service.
	for _, kms := range []string{"vault:../sys/x", "awskms:arn:aws:kms:evil.example:111122223333:key/1", "vault", "", "http://evil.example"} {
		e := &wrap.Envelope{KMS: kms}
		for _, s := range []string{"vault", "awskms"} {
			u, err := kmsuri.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := u.For(e); err == nil {
				t.Errorf("%q for %s: %s", kms, s, got)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"local:x", "ibm:" + crn, "vault:transit/images", "awskms:" + arn, "pkcs11:x", "pkcs11:token=a%20b;id=%01?pin-source=file:/p&module-name=x", "vault"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := kmsuri.Parse(s)
		if err != nil {
			if !errors.Is(err, kmsuri.ErrURI) {
				t.Fatal(err)
			}
			return
		}
		if u.String() != s {
			t.Fatalf("%q became %q", s, u)
		}
		if strings.Contains(u.Name, "..") && u.Scheme == kmsuri.Vault && strings.Contains(u.Name, "/../") {
			t.Fatalf("%q leads out", s)
		}
	})
}
