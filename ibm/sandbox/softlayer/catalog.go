package softlayer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Packages of virtual servers.
const (
	publicPackage = 835 // PUBLIC_CLOUD_SERVER, ordered by presets
	cloudPackage  = 46  // CLOUD_SERVER, ordered by cores and memory
)

// An item is one line of an order. It has one price for all datacenters. The sandbox invents
// the fees.
type item struct {
	id               int // ID of its price; the ID of the item is 100000 more
	key, description string
	category         string
	capacity         int
	hourly           float64
}

func coreItem(n int) item {
	return item{1000 + n, fmt.Sprintf("GUEST_CORES_%d", n), fmt.Sprintf("%d x 2.0 GHz or higher Cores", n), "guest_core", n, 0.0125 * float64(n)}
}

func memoryItem(gb int) item {
	return item{2000 + gb, fmt.Sprintf("RAM_%d_GB", gb), fmt.Sprintf("%d GB ", gb), "ram", gb, 0.00375 * float64(gb)}
}

// items returns the items of a package.
func items() []item {
	var all []item
	for _, n := range []int{1, 2, 4, 8, 16} {
		all = append(all, coreItem(n))
	}
	for _, gb := range []int{1, 2, 4, 8, 16, 32, 64} {
		all = append(all, memoryItem(gb))
	}
	all = append(all,
		item{3001, "GUEST_DISK_25_GB_SAN", "25 GB (SAN)", "guest_disk0", 25, 0},
		item{3002, "GUEST_DISK_100_GB_SAN", "100 GB (SAN)", "guest_disk0", 100, 0.01},
		item{3003, "1_GBPS_PUBLIC_PRIVATE_NETWORK_UPLINKS", "1 Gbps Public & Private Network Uplinks", "port_speed", 1000, 0},
		item{3004, "BANDWIDTH_0_GB_2", "0 GB Bandwidth Allotment", "bandwidth", 0, 0},
		item{3005, "1_IP_ADDRESS", "1 IP Address", "pri_ip_addresses", 1, 0},
		item{3006, "REBOOT_REMOTE_CONSOLE", "Reboot / Remote Console", "remote_management", 0, 0},
		item{3007, "MONITORING_HOST_PING", "Host Ping", "monitoring", 0, 0},
		item{3008, "NOTIFICATION_EMAIL_AND_TICKET", "Email and Ticket", "notification", 0, 0},
		item{3009, "AUTOMATED_NOTIFICATION", "Automated Notification", "response", 0, 0},
		item{3010, "1_IPV6_ADDRESS", "1 IPv6 Address", "pri_ipv6_addresses", 1, 0},
	)
	for n, k := range codes {
		all = append(all, item{4000 + n, "OS_" + strings.ReplaceAll(k.code, "-", "_"), k.words, "os", 0, 0})
	}
	return all
}

func fee(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// price returns the price of an item, including the item.
func (i item) price() object {
	o := i.bare()
	o["item"] = i.itemOnly()
	return o
}

func (i item) bare() object {
	return object{
		"id": i.id, "itemId": 100000 + i.id, "locationGroupId": nil, "hourlyRecurringFee": fee(i.hourly), "recurringFee": fee(i.hourly * 730),
		"categories": []object{{"id": 1, "categoryCode": i.category, "name": i.category}},
	}
}

func (i item) itemOnly() object {
	o := object{
		"id": 100000 + i.id, "keyName": i.key, "description": i.description, "capacity": strconv.Itoa(i.capacity),
		"itemCategory": embedded{"id": 1, "categoryCode": i.category, "name": i.category}, "attributes": []object{},
	}
	if i.category == "os" {
		k := codes[i.id-4000]
		o["softwareDescription"] = object{"id": i.id, "referenceCode": k.code, "longDescription": k.words}
	}
	return o
}

func (i item) object() object {
	o := i.itemOnly()
	o["prices"] = []object{i.bare()}
	return o
}

// presets are named server sizes: a family, cores, GB of memory and GB of disk.
var presets = []struct {
	id        int
	key       string
	cores, gb int
}{
	{101, "B1_1X2X25", 1, 2}, {102, "B1_2X4X25", 2, 4}, {103, "B1_2X8X100", 2, 8}, {104, "B1_4X8X100", 4, 8},
	{105, "B1_8X16X100", 8, 16}, {106, "C1_4X4X25", 4, 4}, {107, "M1_2X16X25", 2, 16},
}

func presetObject(id int) object {
	for _, p := range presets {
		if p.id == id {
			prices := []object{coreItem(p.cores).price(), memoryItem(p.gb).price()}
			return object{"id": p.id, "keyName": p.key, "name": p.key, "description": strings.ReplaceAll(p.key, "_", " "), "isActive": "1", "packageId": publicPackage, "prices": prices}
		}
	}
	return nil
}

func packages() []object {
	return []object{
		{"id": publicPackage, "keyName": "PUBLIC_CLOUD_SERVER", "name": "Public Cloud Server", "isActive": 1, "type": object{"keyName": "VIRTUAL_SERVER_INSTANCE"}},
		{"id": cloudPackage, "keyName": "CLOUD_SERVER", "name": "Cloud Server", "isActive": 1, "type": object{"keyName": "VIRTUAL_SERVER_INSTANCE"}},
	}
}

func (s *Server) listPackages(_ context.Context, c *call) (any, error) { return c.page(packages(), "") }

// packageProperty serves the properties of a package: getItems, getActivePresets, and so on.
func (s *Server) packageProperty(_ context.Context, c *call) (any, error) {
	if c.id != publicPackage && c.id != cloudPackage {
		return nil, notFound(c.id)
	}
	list := []object{}
	switch c.method {
	case "getItems":
		for _, i := range items() {
			list = append(list, i.object())
		}
		return c.page(list, "items")
	case "getItemPrices":
		for _, i := range items() {
			list = append(list, i.price())
		}
		return c.page(list, "itemPrices")
	case "getActivePresets":
		for _, p := range presets {
			if c.id == publicPackage {
				list = append(list, presetObject(p.id))
			}
		}
		return c.page(list, "activePresets")
	case "getRegions":
		for _, l := range locations() {
			list = append(list, object{"description": l["longName"], "keyname": l["regions"].([]object)[0]["keyname"], "location": object{"location": l, "locationId": l["id"]}})
		}
		return c.page(list, "regions")
	}
	return c.page(list, "") // getAccountRestrictedActivePresets
}

func (s *Server) getPreset(_ context.Context, c *call) (any, error) {
	p := presetObject(c.id)
	if p == nil {
		return nil, notFound(c.id)
	}
	return c.mask.apply(p), nil
}

// places are the datacenters into which images are imported.
var places = []struct {
	id              int
	name, long, key string
}{
	{1854895, "dal13", "Dallas 13", "DALLAS13"}, {2017603, "wdc07", "Washington 7", "WASHINGTON07"}, {358694, "lon02", "London 2", "LONDON02"},
	{449506, "fra02", "Frankfurt 2", "FRANKFURT02"}, {449604, "tok02", "Tokyo 2", "TOKYO02"}, {449612, "syd01", "Sydney 1", "SYDNEY"},
}

func locations() []object {
	var all []object
	for _, p := range places {
		all = append(all, object{
			"id": p.id, "name": p.name, "longName": p.long, "regions": []object{{"keyname": p.key, "description": p.long}},
			"priceGroups": []object{}, "groups": []object{},
		})
	}
	return all
}

// place returns the name of a datacenter from its number or name.
func place(text string) string {
	for _, p := range places {
		if text == strconv.Itoa(p.id) || text == p.key {
			return p.name
		}
	}
	return text
}

func (s *Server) listLocations(_ context.Context, c *call) (any, error) {
	return c.page(locations(), "")
}

// nothing serves lists that are always empty in the sandbox: public images, network pods, keys.
func (s *Server) nothing(_ context.Context, c *call) (any, error) { return c.page(nil, "") }

// createOptions serves getCreateObjectOptions.
func (s *Server) createOptions(context.Context, *call) (any, error) {
	o := object{"blockDevices": []object{}, "networkComponents": []object{{"template": object{"networkComponents": []object{{"maxSpeed": 1000}}}}}}
	add := func(name string, v object) { list, _ := o[name].([]object); o[name] = append(list, v) }
	for _, i := range items() {
		switch i.category {
		case "guest_core":
			add("processors", object{"template": object{"startCpus": i.capacity}, "itemPrice": i.price()})
		case "ram":
			add("memory", object{"template": object{"maxMemory": i.capacity * 1024}, "itemPrice": i.price()})
		case "os":
			add("operatingSystems", object{"template": object{"operatingSystemReferenceCode": codes[i.id-4000].code}, "itemPrice": i.price()})
		}
	}
	for _, p := range places {
		add("datacenters", object{"template": object{"datacenter": object{"name": p.name}}})
	}
	for _, p := range presets {
		add("flavors", object{"flavor": presetObject(p.id), "template": object{"supplementalCreateObjectOptions": object{"flavorKeyName": p.key}}})
	}
	return o, nil
}
