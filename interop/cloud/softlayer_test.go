package cloud

import (
	"strings"
	"testing"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/session"
	"github.com/softlayer/softlayer-go/sl"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/wrap"
)

// TestSoftLayer imports an encrypted image, orders a classic server and exports the
// template, with softlayer-go. The other clients of this API use XML-RPC.
func TestSoftLayer(t *testing.T) {
	for name, endpoint := range map[string]func(string) string{
		"REST":    func(url string) string { return url },
		"XML-RPC": func(url string) string { return strings.Replace(url, "/rest/", "/xmlrpc/", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay(t)
			s := &session.Session{UserName: w.User, APIKey: w.UserKey, Endpoint: endpoint(w.SoftLayer)}
			template := w.template(s)
			order(t, w, s, template)
			guests, err := services.GetAccountService(s).Mask("id,hostname").Filter(`{"virtualGuests":{"hostname":{"operation":"web1"}}}`).GetVirtualGuests()
			if err != nil || len(guests) != 1 {
				t.Errorf("%+v, %v", guests, err)
			}
			exported, err := services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(*template.Id).CopyToIcos(&datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration{
				Uri: sl.String("cos://us-south/" + w.bucket + "/back.vhd"), IbmApiKey: &w.importer,
			})
			if err != nil || !exported {
				t.Fatalf("exported: %v, %v", exported, err)
			}
			w.wait("export", func() (string, bool) {
				_, err := w.cos.head(w.bucket, "back-0.vhd")
				return "there", err == nil
			}, "there")
		})
	}
}

// template imports an image as a template, and waits until it is ready.
func (w *way) template(s *session.Session) datatypes.Virtual_Guest_Block_Device_Template_Group {
	w.t.Helper()
	wdek := w.image(luksimg.ClassicVHD, wrap.Size(64), "web.vhd-0.vhd")
	groups := services.GetVirtualGuestBlockDeviceTemplateGroupService(s)
	codes, err := groups.GetVhdImportSoftwareDescriptions()
	if err != nil || len(codes) == 0 {
		w.t.Fatalf("%+v, %v", codes, err)
	}
	template, err := groups.CreateFromIcos(&datatypes.Container_Virtual_Guest_Block_Device_Template_Configuration{
		Name: sl.String("web"), OperatingSystemReferenceCode: sl.String("UBUNTU_22_64"), Uri: sl.String("cos://us-south/" + w.bucket + "/web.vhd-0.vhd"),
		IbmApiKey: &w.importer, CrkCrn: &w.rootKey, WrappedDek: &wdek, CloudInit: sl.Bool(true), IsEncrypted: sl.Bool(true),
	})
	if err != nil || template.Id == nil {
		w.t.Fatalf("%+v, %v", template, err)
	}
	w.wait("template", func() (string, bool) {
		g, err := groups.Id(*template.Id).Mask("id,status.name,transaction[transactionStatus[name]],children[id,transaction,datacenter.name]").GetObject()
		if err != nil {
			w.t.Fatal(err)
		}
		return sl.Get(g.Status.Name, "").(string), g.Transaction == nil && len(g.Children) != 0
	}, "Active")
	if on, err := groups.Id(*template.Id).IsEncrypted(); err != nil || !on {
		w.t.Errorf("encrypted: %v, %v", on, err)
	}
	return template
}

// order orders two servers, one like luksimg and one like slcli.
func order(t *testing.T, w *way, s *session.Session, template datatypes.Virtual_Guest_Block_Device_Template_Group) {
	t.Helper()
	guests := services.GetVirtualGuestService(s)
	options, err := guests.GetCreateObjectOptions()
	if err != nil || len(options.Datacenters) == 0 {
		t.Fatalf("%+v, %v", options, err)
	}
	guest := func(name string) *datatypes.Virtual_Guest {
		return &datatypes.Virtual_Guest{
			Hostname: &name, Domain: sl.String("example.com"), StartCpus: sl.Int(2), MaxMemory: sl.Int(4096), HourlyBillingFlag: sl.Bool(true), LocalDiskFlag: sl.Bool(false),
			Datacenter: &datatypes.Location{Name: sl.String("dal13")}, BlockDeviceTemplateGroup: &datatypes.Virtual_Guest_Block_Device_Template_Group{GlobalIdentifier: template.GlobalIdentifier},
		}
	}
	made, err := guests.CreateObject(guest("web1"))
	if err != nil || made.Id == nil {
		t.Fatalf("%+v, %v", made, err)
	}
	w.provisioned(guests, *made.Id)
	w.told(*template.GlobalIdentifier, "")

	container, err := guests.GenerateOrderTemplate(guest("web2"))
	if err != nil {
		t.Fatal(err)
	}
	products := services.GetProductOrderService(s)
	body := &datatypes.Container_Product_Order_Virtual_Guest{Container_Product_Order_Hardware_Server: datatypes.Container_Product_Order_Hardware_Server{Container_Product_Order: container}}
	if checked, err := products.VerifyOrder(body); err != nil || len(checked.Prices) == 0 {
		t.Fatalf("%+v, %v", checked, err)
	}
	receipt, err := products.PlaceOrder(body, sl.Bool(false))
	if err != nil || receipt.OrderId == nil || receipt.OrderDetails == nil || len(receipt.OrderDetails.VirtualGuests) != 1 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	w.provisioned(guests, *receipt.OrderDetails.VirtualGuests[0].Id)
}

// provisioned waits until a server is provisioned.
func (w *way) provisioned(guests services.Virtual_Guest, id int) {
	w.t.Helper()
	w.wait("server", func() (string, bool) {
		g, err := guests.Id(id).Mask("id,provisionDate,activeTransaction").GetObject()
		if err != nil {
			w.t.Fatal(err)
		}
		return "running", g.ProvisionDate != nil && g.ActiveTransaction == nil
	}, "running")
}
