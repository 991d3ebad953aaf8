package softlayer_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/softlayer/softlayer-go/datatypes"
	"github.com/softlayer/softlayer-go/services"
	"github.com/softlayer/softlayer-go/sl"
)

type order = datatypes.Container_Product_Order_Virtual_Guest

// TestOrderContainer orders like slcli: it gets an order template, verifies it and places it.
func TestOrderContainer(t *testing.T) {
	cloud, s := newCloud(t, "REST")
	id := cloud.AddTemplate("golden", "UBUNTU_22_64", "dal13", "golden-0.vhd", bytes.NewReader(make([]byte, 1024)), 1024)
	g, err := services.GetVirtualGuestBlockDeviceTemplateGroupService(s).Id(id).GetObject()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := services.GetProductPackageService(s).Filter(`{"keyName":{"operation":"PUBLIC_CLOUD_SERVER"}}`).GetAllObjects()
	if err != nil || len(packages) != 1 || *packages[0].Id != 835 {
		t.Fatalf("%+v, %v", packages, err)
	}
	presets, err := services.GetProductPackageService(s).Id(835).Mask("prices[item]").Filter(`{"activePresets":{"keyName":{"operation":"_= B1_2X8X100"}}}`).GetActivePresets()
	if err != nil || len(presets) != 1 || *presets[0].KeyName != "B1_2X8X100" || len(presets[0].Prices) != 2 || presets[0].Prices[0].Item.ItemCategory == nil {
		t.Fatalf("%d %+v, %v", len(presets), presets[0].Prices, err)
	}
	where, err := services.GetLocationService(s).Filter(`{"name":{"operation":"dal13"}}`).GetDatacenters()
	if err != nil || len(where) != 1 {
		t.Fatalf("%+v, %v", where, err)
	}
	fresh := func() *order {
		o := new(order)
		o.PackageId, o.PresetId, o.Location, o.UseHourlyPricing = sl.Int(835), presets[0].Id, sl.String("dal13"), sl.Bool(true)
		o.ImageTemplateGlobalIdentifier = g.GlobalIdentifier
		o.VirtualGuests = []datatypes.Virtual_Guest{{Hostname: sl.String("web1"), Domain: sl.String("example.com")}}
		return o
	}
	products := services.GetProductOrderService(s)
	verified, err := products.VerifyOrder(fresh())
	if err != nil || len(verified.Prices) != 2 || *verified.Prices[0].Item.KeyName != "GUEST_CORES_2" {
		t.Fatalf("%+v, %v", verified, err)
	}
	for words, change := range map[string]func(*order){
		"no virtual guests":          func(o *order) { o.VirtualGuests = nil },
		"Invalid package id":         func(o *order) { o.PackageId = sl.Int(1) },
		"does not exist":             func(o *order) { o.Prices = []datatypes.Product_Item_Price{{Id: sl.Int(9)}} },
		"'startCpus' must be set":    func(o *order) { o.PresetId = nil },
		"not in datacenter fra02":    func(o *order) { o.Location = sl.String("449506") },
		"no template with the":       func(o *order) { o.ImageTemplateGlobalIdentifier = sl.String("none") },
		"'hostname' must be set":     func(o *order) { o.VirtualGuests[0].Hostname = nil },
		"operatingSystemReferenceCo": func(o *order) { o.ImageTemplateGlobalIdentifier = nil },
	} {
		o := fresh()
		change(o)
		if _, err := products.VerifyOrder(o); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
		if _, err := products.PlaceOrder(o, sl.Bool(false)); err == nil {
			t.Errorf("%s: order placed", words)
		}
	}
	account := services.GetAccountService(s)
	if all, err := account.GetVirtualGuests(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	receipt, err := products.PlaceOrder(fresh(), sl.Bool(false))
	if err != nil || *receipt.PlacedOrder.Status != "PENDING_AUTO_APPROVAL" || receipt.OrderId == nil {
		t.Fatalf("%+v, %v", receipt, err)
	}
	cloud.Wait()
	all, err := account.GetHourlyVirtualGuests()
	if err != nil || len(all) != 1 || *all[0].Hostname != "web1" || *all[0].MaxCpu != 2 || *all[0].MaxMemory != 8192 {
		t.Fatalf("%+v, %v", all, err)
	}
	if all, err := account.GetMonthlyVirtualGuests(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	// A preset instead of cores and memory.
	guest := &datatypes.Virtual_Guest{
		Hostname: sl.String("web2"), Domain: sl.String("example.com"), HourlyBillingFlag: sl.Bool(true), Datacenter: &datatypes.Location{Name: sl.String("dal13")},
		BlockDeviceTemplateGroup:        &datatypes.Virtual_Guest_Block_Device_Template_Group{GlobalIdentifier: g.GlobalIdentifier},
		SupplementalCreateObjectOptions: &datatypes.Virtual_Guest_SupplementalCreateObjectOptions{FlavorKeyName: sl.String("B1_2X8X100")},
	}
	guests := services.GetVirtualGuestService(s)
	if o, err := guests.GenerateOrderTemplate(guest); err != nil || *o.PresetId != *presets[0].Id {
		t.Errorf("%+v, %v", o, err)
	}
	guest.SupplementalCreateObjectOptions.FlavorKeyName = sl.String("NONE")
	if _, err := guests.GenerateOrderTemplate(guest); err == nil {
		t.Error("unknown size accepted")
	}
	if o, err := guests.GetCreateObjectOptions(); err != nil || len(o.Processors) == 0 || len(o.Memory) == 0 || len(o.Datacenters) != 6 || len(o.OperatingSystems) == 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if ok, err := guests.Id(*all[0].Id).DeleteObject(); err != nil || !ok {
		t.Error(err)
	}
	if all, err := account.GetVirtualGuests(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
