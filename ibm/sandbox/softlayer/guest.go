package softlayer

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/audit"
)

// guestParameters are the supported parameters of SoftLayer_Virtual_Guest::createObject.
type guestParameters struct {
	Hostname   string `json:"hostname"`
	Domain     string `json:"domain"`
	CPUs       int    `json:"startCpus"`
	Memory     int    `json:"maxMemory"`
	Hourly     *bool  `json:"hourlyBillingFlag"`
	LocalDisk  *bool  `json:"localDiskFlag"`
	OSCode     string `json:"operatingSystemReferenceCode"`
	Datacenter struct {
		Name string `json:"name"`
	} `json:"datacenter"`
	Template struct {
		GlobalIdentifier string `json:"globalIdentifier"`
	} `json:"blockDeviceTemplateGroup"`
	Supplemental struct {
		Flavor string `json:"flavorKeyName"`
	} `json:"supplementalCreateObjectOptions"`
}

// checkParameters parses and checks the parameters of a call. It returns the preset if a size is named. The
// caller holds the lock.
func (s *Server) checkParameters(c *call) (p *guestParameters, t *template, preset int, err error) {
	p = new(guestParameters)
	if err = c.parameter(p); err == nil {
		preset, err = p.flavor()
	}
	if err == nil {
		t, err = s.checkGuestParameters(p)
	}
	return p, t, preset, err
}

// checkGuestParameters reports errors that the API reports immediately, and returns the template.
func (s *Server) checkGuestParameters(p *guestParameters) (*template, error) {
	missing := ""
	switch {
	case p.Hostname == "":
		missing = "hostname"
	case p.Domain == "":
		missing = "domain"
	case p.CPUs <= 0:
		missing = "startCpus"
	case p.Memory <= 0:
		missing = "maxMemory"
	case p.Datacenter.Name == "":
		missing = "datacenter.name"
	case p.Hourly == nil:
		missing = "hourlyBillingFlag"
	case p.LocalDisk == nil:
		missing = "localDiskFlag"
	case p.Template.GlobalIdentifier == "" && p.OSCode == "":
		missing = "operatingSystemReferenceCode' or 'blockDeviceTemplateGroup"
	}
	if missing != "" {
		return nil, &apiError{http.StatusInternalServerError, "SoftLayer_Exception_MissingCreationProperty",
			"The property '" + missing + "' must be set to create an instance of 'SoftLayer_Virtual_Guest'."}
	}
	if p.OSCode != "" {
		return nil, public("operatingSystemReferenceCode and blockDeviceTemplateGroup conflict: servers are made of templates here.")
	}
	for _, t := range s.state.Templates {
		if t.GlobalID != p.Template.GlobalIdentifier {
			continue
		}
		switch {
		case !t.Active:
			return nil, public("The template %d is not ready.", t.ID)
		case t.Datacenter != p.Datacenter.Name:
			return nil, public("The template %d is not in datacenter %s but in %s.", t.ID, p.Datacenter.Name, t.Datacenter)
		}
		return t, nil
	}
	return nil, public("There is no template with the global identifier %q.", p.Template.GlobalIdentifier)
}

// checkGuest serves generateOrderTemplate: the order that createObject would place.
func (s *Server) checkGuest(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, t, preset, err := s.checkParameters(c)
	if err != nil {
		return nil, err
	}
	prices := []object{coreItem(p.CPUs).bare(), memoryItem(max(1, p.Memory/1024)).bare()}
	o := object{
		"complexType":                   "SoftLayer_Container_Product_Order_Virtual_Guest",
		"packageId":                     cloudPackage,
		"quantity":                      1,
		"location":                      p.Datacenter.Name,
		"useHourlyPricing":              *p.Hourly,
		"imageTemplateGlobalIdentifier": t.GlobalID,
		"prices":                        prices,
		"virtualGuests":                 []object{{"hostname": p.Hostname, "domain": p.Domain}},
	}
	if preset != 0 {
		o["packageId"], o["presetId"], o["prices"] = publicPackage, preset, []object{}
	}
	return o, nil
}

func (s *Server) createGuest(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, t, _, err := s.checkParameters(c)
	if err != nil {
		return nil, err
	}
	return created{c.mask.apply(s.orderGuest(p, t).object())}, nil
}

// orderGuest creates a server. The caller holds the lock.
func (s *Server) orderGuest(p *guestParameters, t *template) *guest {
	g := &guest{
		ID: s.newID(), GlobalID: uuid.NewString(), Hostname: p.Hostname, Domain: p.Domain, CPUs: p.CPUs, Memory: p.Memory,
		Datacenter: p.Datacenter.Name, Hourly: *p.Hourly, LocalDisk: *p.LocalDisk, TemplateID: t.ID, Created: s.opts.Clock.Now(),
		Work: &transaction{ID: s.newID(), Created: s.opts.Clock.Now()},
	}
	s.state.Guests = append(s.state.Guests, g)
	s.runOrder(g, t)
	return g
}

// deleteGuest cancels a server immediately.
func (s *Server) deleteGuest(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guest(c.id)
	if g == nil {
		return nil, notFound(c.id)
	}
	s.state.Guests = slices.DeleteFunc(s.state.Guests, func(x *guest) bool { return x == g })
	return true, nil
}

// runOrder simulates the start of a server. The caller holds the lock.
func (s *Server) runOrder(g *guest, t *template) {
	o := &opening{s: s, t: t, identity: ServiceIdentity}
	o.root, _ = parseRootKey(t.RootKeyCRN)
	steps := []step{{"ASSIGN_HOST", "Assign a host", func(context.Context) error { return nil }}}
	steps = append(steps, o.steps()...)
	steps = append(steps, step{"SERVICE_SETUP", "Set the server up", func(context.Context) error { return nil }})
	s.run(g.Work, steps, func() []string { return []string{string(o.text)} }, func(failure string) audit.Event {
		o.close()
		if failure == "" {
			g.Work, g.Provisioned = nil, s.opts.Clock.Now()
		}
		return s.event("audit-log.vsi.provision", ServiceIdentity, s.guestCRN(g), g.Hostname+"."+g.Domain, failure, map[string]any{
			"id": strconv.Itoa(g.ID), "imageTemplate": t.GlobalID, "crkCrn": t.RootKeyCRN, "datacenter": g.Datacenter,
		})
	})
}

func (s *Server) getGuest(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guest(c.id)
	if g == nil {
		return nil, notFound(c.id)
	}
	return c.mask.apply(g.object()), nil
}

func (s *Server) getGuestProperty(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.guest(c.id)
	if g == nil {
		return nil, notFound(c.id)
	}
	name := strings.TrimPrefix(c.method, "get")
	return c.mask.apply(g.object()[strings.ToLower(name[:1])+name[1:]]), nil
}

func (s *Server) listGuests(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	for _, g := range s.state.Guests {
		if c.method == "getVirtualGuests" || g.Hourly == (c.method == "getHourlyVirtualGuests") {
			list = append(list, g.object())
		}
	}
	return c.page(list, "virtualGuests")
}
