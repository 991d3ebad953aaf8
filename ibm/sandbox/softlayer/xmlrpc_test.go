package softlayer

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzXML parses arbitrary XML-RPC requests.
func FuzzXML(f *testing.F) {
	f.Add(`<?xml version='1.0' encoding='iso-8859-1'?><methodCall><methodName>getObject</methodName><params><param><value><struct><member><name>headers</name>` +
		`<value><struct><member><name>authenticate</name><value><struct><member><name>username</name><value><string>u</string></value></member></struct></value></member>` +
		`</struct></value></member></struct></value></param><param><value><array><data><value><int>1</int></value><value><nil/></value></data></array></value></param></params></methodCall>`)
	f.Add("<methodCall><params><param><value><int>x</int></value></param></params></methodCall>")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseXML(httptest.NewRequest("POST", "/xmlrpc/v3.1/SoftLayer_Account", strings.NewReader(text)))
		if err == nil && c.service != "SoftLayer_Account" {
			t.Errorf("%+v", c)
		}
	})
}

// TestXMLBad checks that the answer to an invalid XML-RPC request is a fault.
func TestXMLBad(t *testing.T) {
	for _, text := range []string{
		"", "{}", "<a/>", "<methodCall>", "<methodCall><params><param><value><int>x</int></value></param></params></methodCall>",
		"<methodCall><params><param><value><what/></value></param></params></methodCall>",
		"<methodCall><params><param><value>text</value></param></params></methodCall>",
	} {
		w := httptest.NewRecorder()
		(&Server{}).ServeHTTP(w, httptest.NewRequest("POST", "/xmlrpc/v3.1/SoftLayer_Account", strings.NewReader(text)))
		if w.Code != 200 || !strings.Contains(w.Body.String(), "<fault>") {
			t.Errorf("%q: %d %s", text, w.Code, w.Body)
		}
	}
}
