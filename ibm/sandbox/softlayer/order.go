package softlayer

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// A container is a SoftLayer_Container_Product_Order_Virtual_Guest, or a container of several of them.
type container struct {
	Containers []json.RawMessage `json:"orderContainers"`

	Package   int             `json:"packageId"`
	Location  json.RawMessage `json:"location"` // a number or a name
	Preset    int             `json:"presetId"`
	Hourly    bool            `json:"useHourlyPricing"`
	ImageGUID string          `json:"imageTemplateGlobalIdentifier"`
	ImageID   int             `json:"imageTemplateId"`
	Guests    []named         `json:"virtualGuests"`
	Prices    []struct {
		ID int `json:"id"`
	} `json:"prices"`
}

type named struct {
	Hostname string `json:"hostname"`
	Domain   string `json:"domain"`
}

// An order is a checked container.
type order struct {
	raw    object // as sent, returned in the response
	items  []item
	guests []*guestParameters
	images []*template // the templates of the guests
}

// checkOrder checks one container and completes its prices. The caller holds the lock.
func (s *Server) checkOrder(text json.RawMessage) (*order, error) {
	var k container
	o := new(order)
	if json.Unmarshal(text, &k) != nil || json.Unmarshal(text, &o.raw) != nil {
		return nil, public("The order container is not understood.")
	}
	switch {
	case k.Package != publicPackage && k.Package != cloudPackage:
		return nil, public("Invalid package id %d: only virtual servers can be ordered here.", k.Package)
	case len(k.Guests) == 0:
		return nil, public("The order has no virtual guests.")
	}
	all := items()
	cores, gb := 0, 0
	for _, p := range k.Prices {
		i := slices.IndexFunc(all, func(x item) bool { return x.id == p.ID })
		switch {
		case i >= 0:
			o.items = append(o.items, all[i])
		case p.ID > 1000 && p.ID < 2000:
			o.items = append(o.items, coreItem(p.ID-1000))
		case p.ID > 2000 && p.ID < 3000:
			o.items = append(o.items, memoryItem(p.ID-2000))
		default:
			return nil, public("Price # %d does not exist.", p.ID)
		}
	}
	for _, p := range presets {
		if p.id == k.Preset {
			o.items = append(o.items, coreItem(p.cores), memoryItem(p.gb))
		}
	}
	var prices []object
	for _, i := range o.items {
		prices = append(prices, i.price())
		switch i.category {
		case "guest_core":
			cores = i.capacity
		case "ram":
			gb = i.capacity
		}
	}
	o.raw["prices"] = prices
	for _, t := range s.state.Templates {
		if k.ImageID == t.ID {
			k.ImageGUID = t.GlobalID
		}
	}
	for _, g := range k.Guests {
		p := &guestParameters{Hostname: g.Hostname, Domain: g.Domain, CPUs: cores, Memory: gb * 1024, Hourly: &k.Hourly, LocalDisk: new(bool)}
		p.Datacenter.Name, p.Template.GlobalIdentifier = place(strings.Trim(string(k.Location), `"`)), k.ImageGUID
		t, err := s.checkGuestParameters(p)
		if err != nil {
			return nil, err
		}
		o.guests, o.images = append(o.guests, p), append(o.images, t)
	}
	return o, nil
}

// orders checks the containers of a call. nested reports whether they were inside another one.
func (s *Server) orders(c *call) (all []*order, nested bool, err error) {
	var k container
	if len(c.parameters) == 0 || json.Unmarshal(c.parameters[0], &k) != nil {
		return nil, false, public("The order container is not understood.")
	}
	texts := k.Containers
	if nested = len(texts) > 0; !nested {
		texts = c.parameters[:1]
	}
	for _, text := range texts {
		o, err := s.checkOrder(text)
		if err != nil {
			return nil, nested, err
		}
		all = append(all, o)
	}
	return all, nested, nil
}

func (s *Server) verifyOrder(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, nested, err := s.orders(c)
	if err != nil {
		return nil, err
	}
	if !nested {
		return all[0].raw, nil
	}
	var list []object
	for _, o := range all {
		list = append(list, o.raw)
	}
	return object{"orderContainers": list}, nil
}

// placeOrder orders the servers of all containers and answers with the receipt.
func (s *Server) placeOrder(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, _, err := s.orders(c)
	if err != nil {
		return nil, err
	}
	var guests, prices []object
	for _, o := range all {
		prices = append(prices, o.raw["prices"].([]object)...)
		for n, p := range o.guests {
			guests = append(guests, s.orderGuest(p, o.images[n]).object())
		}
	}
	details := object{"virtualGuests": guests, "prices": prices}
	return object{
		"orderId": s.newID(), "orderDate": date(s.opts.Clock.Now()), "placedOrder": object{"id": s.newID(), "status": "PENDING_AUTO_APPROVAL"}, "orderDetails": details,
	}, nil
}

// flavor sets cores and memory according to a named size.
func (p *guestParameters) flavor() (preset int, err error) {
	name := p.Supplemental.Flavor
	if name == "" {
		return 0, nil
	}
	for _, x := range presets {
		if x.key == name {
			p.CPUs, p.Memory = x.cores, x.gb*1024
			if p.LocalDisk == nil {
				p.LocalDisk = new(bool)
			}
			return x.id, nil
		}
	}
	return 0, public("The flavor %q does not exist.", name)
}
