package crn_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/crn"
)

const key = "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:a192d603-0b8d-452f-aac3-f9e1f95e7411:key:88d649f8-41b8-4426-b52b-45c88953d5b8"

func TestParse(t *testing.T) {
	c, err := crn.ParseRootKey(key)
	if err != nil {
		t.Fatal(err)
	}
	want := crn.CRN{CName: "bluemix", CType: "public", Service: "kms", Region: "us-south", Account: "ea998d3389c3473aa0987652b46fb146",
		Instance: "a192d603-0b8d-452f-aac3-f9e1f95e7411", ResourceType: "key", Resource: "88d649f8-41b8-4426-b52b-45c88953d5b8"}
	if c != want || c.String() != key {
		t.Errorf("%+v, %s", c, c)
	}
	for _, s := range []string{
		"crn:v1:bluemix:public:hs-crypto:eu-de:a/acct:inst::",
		"crn:v1:bluemix:public:kms:us-south:a/acct:inst::",
	} {
		c, err := crn.ParseInstance(s)
		if err != nil || c.String() != s {
			t.Errorf("%s: %s, %v", s, c, err)
		}
		if k := c.Key("k-1"); !strings.HasSuffix(k.String(), ":key:k-1") {
			t.Error(k)
		}
		if _, err := crn.ParseRootKey(s); !errors.Is(err, crn.ErrCRN) {
			t.Errorf("ParseRootKey(%s): got %v, want ErrCRN", s, err)
		}
	}
	if c, err := crn.Parse("crn:v1:bluemix:public:iam::::serviceRole:Reader"); err != nil || c.Resource != "Reader" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestRefuses uses CRNs that would redirect a request with its token to another host or path.
func TestRefuses(t *testing.T) {
	for _, change := range [][2]string{
		{"us-south", "evil.com/"}, {"us-south", "evil.com#"}, {"us-south", "a.b"}, {"us-south", ""}, {"us-south", "-x"}, {"us-south", "x@y"},
		{"us-south", "us south"}, {"us-south", "us\nsouth"}, {"us-south", "ü"}, {"kms", "cloud-object-storage"}, {"kms", ""},
		{"a/ea", "ea"}, {"a/ea998d3389c3473aa0987652b46fb146", ""}, {"a/ea998d3389c3473aa0987652b46fb146", "a/"}, {"a/ea998d3389c3473aa0987652b46fb146", "s/space"},
		{"a192d603-0b8d-452f-aac3-f9e1f95e7411", ""}, {"a192d603-0b8d-452f-aac3-f9e1f95e7411", "x\r\ny"},
		{":key:", "::"}, {":key:", ":bucket:"}, {"88d649f8-", "../"}, {"88d649f8-", "a/b"}, {"88d649f8-41b8-4426-b52b-45c88953d5b8", ""},
		{"88d649f8", "%2e"}, {"crn:v1", "crn:v2"}, {"crn:", "CRN:"}, {"bluemix", "softlayer"}, {"public", "local"}, {":key", ":key:more"}, {"us-south", strings.Repeat("a", 500)},
		{"us-south", strings.Repeat("a", 129)},
	} {
		s := strings.Replace(key, change[0], change[1], 1)
		if s == key {
			t.Fatalf("%q missing", change[0])
		}
		if c, err := crn.ParseRootKey(s); !errors.Is(err, crn.ErrCRN) {
			t.Errorf("%s: %+v, %v", s, c, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(key)
	f.Add("crn:v1:bluemix:public:kms:us-south:a/a:b::")
	f.Add("crn:v1::::::::")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := crn.Parse(s)
		if err != nil {
			if !errors.Is(err, crn.ErrCRN) {
				t.Fatal(err)
			}
			return
		}
		if c.String() != s {
			t.Fatalf("%q became %q", s, c)
		}
		if strings.ContainsAny(c.Region+c.Instance, "./@#?% \n") {
			t.Fatalf("%+v", c)
		}
	})
}
