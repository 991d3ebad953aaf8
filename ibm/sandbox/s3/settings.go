package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// settingKinds are bucket sub-resources that are stored but have no effect: the root
// of their XML, and the error code if there is none.
var settingKinds = map[string]struct{ root, rule, missing string }{
	"cors":      {"CORSConfiguration", "CORSRule", "NoSuchCORSConfiguration"},
	"lifecycle": {"LifecycleConfiguration", "Rule", "NoSuchLifecycleConfiguration"},
}

var settingOperations = operations{"GET": (*call).getSetting, "PUT": (*call).putSetting, "DELETE": (*call).deleteSetting}

func (c *call) getSetting() error {
	var text []byte
	if err := c.withBucket(func(b *bucket) error { text = b.settings[c.sub]; return nil }); err != nil {
		return err
	}
	if text == nil {
		return refusal(settingKinds[c.sub].missing, "The "+c.sub+" configuration does not exist")
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(http.StatusOK)
	c.w.Write(text)
	return nil
}

func (c *call) putSetting() error {
	if err := c.digested(); err != nil {
		return err
	}
	text, err := c.text(1 << 20)
	if err != nil {
		return err
	}
	kind := settingKinds[c.sub]
	if rules, err := countRules(text, kind.root, kind.rule); err != nil || rules < 1 || rules > 1000 {
		return errXML
	}
	err = c.withBucket(func(b *bucket) error {
		if b.settings == nil {
			b.settings = map[string][]byte{}
		}
		b.settings[c.sub] = text
		return nil
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteSetting() error {
	if err := c.withBucket(func(b *bucket) error { delete(b.settings, c.sub); return nil }); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// countRules returns the number of rules below the root of a well-formed document.
func countRules(text []byte, root, rule string) (n int, err error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	for depth := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 && t.Name.Local != root {
				return 0, errXML
			}
			if depth == 1 && t.Name.Local == rule {
				n++
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// versioning answers that versioning is disabled.
func (c *call) versioning() error {
	if err := c.mayUse(); err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		NS      string   `xml:"xmlns,attr"`
	}{NS: xmlns})
}

const fullControl = "FULL_CONTROL"

// getACL answers that the owner has full control, which holds for all buckets and objects: IAM controls the access.
func (c *call) getACL() error {
	if err := c.exists(); err != nil {
		return err
	}
	type grantee struct {
		XSI  string `xml:"xmlns:xsi,attr"`
		Type string `xml:"xsi:type,attr"`
		owner
	}
	type grant struct {
		Grantee    grantee
		Permission string
	}
	var x struct {
		XMLName           xml.Name `xml:"AccessControlPolicy"`
		NS                string   `xml:"xmlns,attr"`
		Owner             owner
		AccessControlList struct{ Grant grant }
	}
	x.NS, x.Owner = xmlns, c.owner()
	x.AccessControlList.Grant = grant{grantee{"http://www.w3.org/2001/XMLSchema-instance", "CanonicalUser", c.owner()}, fullControl}
	return answer(c.w, c.r, http.StatusOK, x)
}

// putACL accepts only an ACL that changes nothing: access for the owner only.
func (c *call) putACL() error {
	if err := errors.Join(c.exists(), c.refuseHeaders()); err != nil {
		return err
	}
	body, err := c.text(64 << 10)
	if err != nil {
		return err
	}
	var x struct {
		XMLName           xml.Name `xml:"AccessControlPolicy"`
		AccessControlList struct {
			Grant []struct {
				Grantee    struct{ ID string }
				Permission string
			}
		}
	}
	switch {
	case len(bytes.TrimSpace(body)) == 0 && c.r.Header.Get("X-Amz-Acl") == "":
		return refusal("MissingSecurityHeader", "Your request was missing a required header: x-amz-acl")
	case len(bytes.TrimSpace(body)) > 0:
		if xml.Unmarshal(body, &x) != nil {
			return refusal("MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema.")
		}
		for _, g := range x.AccessControlList.Grant {
			if strings.TrimSpace(g.Grantee.ID) != c.who.account || g.Permission != fullControl {
				return notImplemented(c)
			}
		}
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// exists returns an error if the bucket or object does not exist.
func (c *call) exists() error {
	if c.key == "" {
		return c.mayUse()
	}
	return c.withObject(func(*object) error { return nil })
}
