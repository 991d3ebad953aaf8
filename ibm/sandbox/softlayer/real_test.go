package softlayer_test

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/session"
	"github.com/softlayer/softlayer-go/sl"

	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
)

type configuration = datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration

// protocols are the address suffixes by which the library selects its protocol.
var protocols = map[string]string{"REST": "/rest/v3.1", "XML-RPC": "/xmlrpc/v3.1"}

// newCloud returns an emulator and a session of the real library.
func newCloud(t *testing.T, protocol string) (*sandbox.Server, *session.Session) {
	t.Helper()
	cloud, err := sandbox.New(sandbox.Options{Users: map[string]string{"me": "key"}, Tokens: nothing{}, KMS: nothing{}, Store: nothing{}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(cloud)
	t.Cleanup(func() { srv.Close(); cloud.Close() })
	return cloud, &session.Session{UserName: "me", APIKey: "key", Endpoint: srv.URL + protocols[protocol]}
}

// status returns the status of a refusal, which is 200 for XML-RPC.
func status(protocol string, rest int) int {
	if protocol == "REST" {
		return rest
	}
	return 200
}

// apiError returns the error of the API.
func apiError(t *testing.T, err error) sl.Error {
	t.Helper()
	var e sl.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an error of the API", err)
	}
	return e
}

// TestRealClient makes calls with softlayer-go that the client of this module does not use.
func TestRealClient(t *testing.T) {
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) { realClient(t, protocol) })
	}
}

func realClient(t *testing.T, protocol string) {
	cloud, s := newCloud(t, protocol)
	id := cloud.AddTemplate("golden", "UBUNTU_22_64", "dal13", "golden.vhd", bytes.NewReader(make([]byte, 1024)), 1024)
	group := services.GetVirtualGuestBlockDeviceTemplateGroupService(s)
	if status, err := group.Id(id).GetStatus(); err != nil || *status.Name != "Active" {
		t.Errorf("%v, %v", status, err)
	}
	if tx, err := group.Id(id).GetTransaction(); err != nil || tx.Id != nil { // null when idle
		t.Errorf("%v, %v", tx, err)
	}
	if children, err := group.Id(id).Mask("datacenter.name").GetChildren(); err != nil || len(children) != 1 ||
		protocol == "REST" && *children[0].Datacenter.Name != "dal13" { // with XML-RPC the library does not decode structures in lists
		t.Errorf("%v, %v", children, err)
	}
	for _, flag := range []func() (bool, error){group.Id(id).IsEncrypted, group.Id(id).IsCloudInit, group.Id(id).IsByol} {
		if on, err := flag(); err != nil || on {
			t.Errorf("%v, %v", on, err)
		}
	}
	// Without a mask the answer has only local properties.
	if g, err := group.Id(id).GetObject(); err != nil || g.Status != nil || g.Children != nil || *g.Name != "golden" {
		t.Errorf("%+v, %v", g, err)
	}
	if all, err := services.GetAccountService(s).GetBlockDeviceTemplateGroups(); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	for name, call := range map[string]func() error{
		"status": func() error { _, err := group.Id(1).GetStatus(); return err },
		"flag":   func() error { _, err := group.Id(1).IsByol(); return err },
		"guest":  func() error { _, err := services.GetVirtualGuestService(s).Id(1).GetActiveTransaction(); return err },
		"export": func() error {
			_, err := group.Id(1).CopyToIcos(&configuration{Uri: sl.String("cos://us-south/b/o.vhd")})
			return err
		},
		"unknown": func() error { _, err := group.Id(id).GetRegion(); return err },
	} {
		if e := apiError(t, call()); e.StatusCode != status(protocol, 404) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	s.APIKey = "wrong"
	if _, err := group.Id(id).GetStatus(); apiError(t, err).StatusCode != status(protocol, 401) {
		t.Error(err)
	}
}

// TestRealImportRefused sends requests that the client of this module refuses to send.
func TestRealImportRefused(t *testing.T) {
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) { realImportRefused(t, protocol) })
	}
}

func realImportRefused(t *testing.T, protocol string) {
	_, s := newCloud(t, protocol)
	const crn = "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k"
	group := services.GetVirtualGuestBlockDeviceTemplateGroupService(s)
	good := func() *configuration {
		return &configuration{
			Name: sl.String("n"), OperatingSystemReferenceCode: sl.String("UBUNTU_22_64"), Uri: sl.String("cos://us-south/b/o.raw"),
			IbmApiKey: sl.String("k"), CrkCrn: sl.String(crn), WrappedDek: sl.String("w"), CloudInit: sl.Bool(true), IsEncrypted: sl.Bool(true),
		}
	}
	if g, err := group.CreateFromIcos(good()); err != nil || g.GlobalIdentifier == nil {
		t.Fatal(err)
	}
	for words, change := range map[string]func(*configuration){
		"invalid network storage service resource protocol": func(c *configuration) { c.Uri = sl.String("swift://a@b/c/d.raw") },
		"uri must be cos://":      func(c *configuration) { c.Uri = sl.String("cos://us-south") },
		"must be regional":        func(c *configuration) { c.Uri = sl.String("cos://us/b/o.raw") },
		"name must be set":        func(c *configuration) { c.Name = nil },
		"ibmApiKey must be set":   func(c *configuration) { c.IbmApiKey = nil },
		"is not known":            func(c *configuration) { c.OperatingSystemReferenceCode = sl.String("BEOS") },
		"wrappedDek must be set":  func(c *configuration) { c.WrappedDek, c.IsEncrypted = nil, nil }, // RAW implies encryption
		"crkCrn must be set":      func(c *configuration) { c.CrkCrn = nil },
		"crkCrn is not the CRN":   func(c *configuration) { c.CrkCrn = sl.String(crn + ":more") },
		"cloudInit must be true":  func(c *configuration) { c.CloudInit = nil },
		"must be that of a Linux": func(c *configuration) { c.OperatingSystemReferenceCode = sl.String("WIN_2022-STD_64") },
		"byol must be true":       func(c *configuration) { c.OperatingSystemReferenceCode = sl.String("REDHAT_9_64") },
	} {
		c := good()
		change(c)
		_, err := group.CreateFromIcos(c)
		if e := apiError(t, err); e.StatusCode != status(protocol, 500) || e.Exception != "SoftLayer_Exception_Public" || !strings.Contains(e.Message, words) {
			t.Errorf("%s: %+v", words, e)
		}
	}
}

// TestRealOrderRefused omits one property after the other.
func TestRealOrderRefused(t *testing.T) {
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) { realOrderRefused(t, protocol) })
	}
}

func realOrderRefused(t *testing.T, protocol string) {
	cloud, s := newCloud(t, protocol)
	id := cloud.AddTemplate("golden", "UBUNTU_22_64", "dal13", "golden.vhd", bytes.NewReader(make([]byte, 1024)), 1024)
	g, err := services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(id).GetObject()
	if err != nil {
		t.Fatal(err)
	}
	guest := services.GetVirtualGuestService(s)
	for name, change := range map[string]func(*datatypes.Virtual_Guest){
		"hostname":                     func(v *datatypes.Virtual_Guest) { v.Hostname = nil },
		"domain":                       func(v *datatypes.Virtual_Guest) { v.Domain = nil },
		"startCpus":                    func(v *datatypes.Virtual_Guest) { v.StartCpus = nil },
		"maxMemory":                    func(v *datatypes.Virtual_Guest) { v.MaxMemory = nil },
		"datacenter.name":              func(v *datatypes.Virtual_Guest) { v.Datacenter = nil },
		"hourlyBillingFlag":            func(v *datatypes.Virtual_Guest) { v.HourlyBillingFlag = nil },
		"localDiskFlag":                func(v *datatypes.Virtual_Guest) { v.LocalDiskFlag = nil },
		"operatingSystemReferenceCode": func(v *datatypes.Virtual_Guest) { v.BlockDeviceTemplateGroup = nil },
		"conflict":                     func(v *datatypes.Virtual_Guest) { v.OperatingSystemReferenceCode = sl.String("UBUNTU_22_64") },
	} {
		v := &datatypes.Virtual_Guest{
			Hostname: sl.String("h"), Domain: sl.String("d"), StartCpus: sl.Int(1), MaxMemory: sl.Int(1024), HourlyBillingFlag: sl.Bool(true), LocalDiskFlag: sl.Bool(false),
			Datacenter:               &datatypes.Location{Name: sl.String("dal13")},
			BlockDeviceTemplateGroup: &datatypes.Virtual_Guest_Block_Device_Template_Group{GlobalIdentifier: g.GlobalIdentifier},
		}
		if _, err := guest.GenerateOrderTemplate(v); err != nil {
			t.Fatal(err)
		}
		change(v)
		_, err := guest.CreateObject(v)
		if e := apiError(t, err); e.StatusCode != status(protocol, 500) || !strings.Contains(e.Message, name) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
