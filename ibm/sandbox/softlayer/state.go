package softlayer

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/internal/guestdisk"
)

// accountID is the number of the account.
const accountID = 278444

// state is the complete state of the emulator. It holds no secrets: the API key of an import
// is dropped when the import ends.
type state struct {
	NextID    int         `json:"next_id"`
	Templates []*template `json:"templates"`
	Guests    []*guest    `json:"guests"`
}

// A template is a template group with one child.
type template struct {
	ID         int                  `json:"id"`
	ChildID    int                  `json:"child_id"`
	GlobalID   string               `json:"global_identifier"`
	Name       string               `json:"name"`
	Note       string               `json:"note,omitempty"`
	OSCode     string               `json:"os_code"`
	Datacenter string               `json:"datacenter"`
	Created    time.Time            `json:"created"`
	Encrypted  bool                 `json:"encrypted,omitempty"`
	CloudInit  bool                 `json:"cloud_init,omitempty"`
	BYOL       bool                 `json:"byol,omitempty"`
	RootKeyCRN string               `json:"root_key_crn,omitempty"`
	WrappedDEK string               `json:"wrapped_dek,omitempty"`
	File       string               `json:"file"` // base name of the object
	DiskSize   int64                `json:"disk_size"`
	Active     bool                 `json:"active"`
	Work       *transaction         `json:"transaction,omitempty"`
	Image      *guestdisk.Recording `json:"image,omitempty"`

	source source // source of exports
}

// A source is an image that a template can be copied from; nil after Load.
type source interface {
	io.ReaderAt
	Size() int64
}

type guest struct {
	ID          int          `json:"id"`
	GlobalID    string       `json:"global_identifier"`
	Hostname    string       `json:"hostname"`
	Domain      string       `json:"domain"`
	CPUs        int          `json:"start_cpus"`
	Memory      int          `json:"max_memory"`
	Datacenter  string       `json:"datacenter"`
	Hourly      bool         `json:"hourly"`
	LocalDisk   bool         `json:"local_disk"`
	TemplateID  int          `json:"template_id"`
	Created     time.Time    `json:"created"`
	Provisioned time.Time    `json:"provisioned,omitzero"`
	Work        *transaction `json:"transaction,omitempty"`
}

// A transaction is a process on a template or a server. A failed one is kept.
type transaction struct {
	ID      int       `json:"id"`
	Name    string    `json:"name"`
	Words   string    `json:"words"`
	Failed  bool      `json:"failed,omitempty"`
	Created time.Time `json:"created"`
}

// Save writes the state as JSON: servers, and templates with the parts of their images needed
// to open them. It holds no secrets.
func (s *Server) Save(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.MarshalIndent(s.state, "", " ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Load replaces the state with one written by Save. It marks running transactions
// as failed, since the API key they need was not saved.
func (s *Server) Load(r io.Reader) error {
	var st state
	if err := json.NewDecoder(r).Decode(&st); err != nil {
		return fmt.Errorf("sandbox/softlayer: the state cannot be read: %w", err)
	}
	interrupt := func(t *transaction) {
		if t != nil && !t.Failed {
			t.fail(stopped)
		}
	}
	for _, t := range st.Templates {
		if t == nil {
			return fmt.Errorf("sandbox/softlayer: the state has an empty template")
		}
		st.NextID = max(st.NextID, t.ID+1, t.ChildID+1)
		interrupt(t.Work)
	}
	for _, g := range st.Guests {
		if g == nil {
			return fmt.Errorf("sandbox/softlayer: the state has an empty server")
		}
		st.NextID = max(st.NextID, g.ID+1)
		interrupt(g.Work)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	return nil
}

// newID returns the next number. The caller holds the lock.
func (s *Server) newID() int {
	s.state.NextID++
	return s.state.NextID
}

func (s *Server) template(id int) *template {
	for _, t := range s.state.Templates {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (s *Server) guest(id int) *guest {
	for _, g := range s.state.Guests {
		if g.ID == id {
			return g
		}
	}
	return nil
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// date formats a time for the API.
func date(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05-07:00")
}

func (t *transaction) object() object {
	return object{
		"id":         t.ID,
		"createDate": date(t.Created),
		"transactionStatus": object{
			"name":         t.Name,
			"friendlyName": t.Words,
		},
		"transactionGroup": object{"name": "IMAGE_OR_SERVER"},
	}
}

func (t *template) object() object {
	status := "Inactive"
	if t.Active {
		status = "Active"
	}
	o := object{
		"id":               t.ID,
		"globalIdentifier": t.GlobalID,
		"name":             t.Name,
		"note":             t.Note,
		"createDate":       date(t.Created),
		"accountId":        accountID,
		"parentId":         nil,
		"byolFlag":         t.BYOL,
		"publicFlag":       0,
		"flexImageFlag":    false,
		"imageType":        object{"keyName": "SYSTEM", "name": "System"},
		"status":           object{"keyname": upper(status), "name": status},
	}
	if t.Work != nil {
		o["transaction"] = t.Work.object()
		o["transactionId"] = t.Work.ID
	}
	child := object{"id": t.ChildID, "parentId": t.ID, "name": t.Name}
	if t.Active {
		child["datacenter"] = object{"name": t.Datacenter, "longName": t.Datacenter}
		child["blockDevicesDiskSpaceTotal"] = strconv.FormatInt(t.DiskSize, 10) // the API sends this number as text
		o["children"], o["firstChild"] = []object{child}, child
	} else {
		o["children"] = []object{}
	}
	return o
}

func (g *guest) object() object {
	o := object{
		"id":                       g.ID,
		"globalIdentifier":         g.GlobalID,
		"hostname":                 g.Hostname,
		"domain":                   g.Domain,
		"fullyQualifiedDomainName": g.Hostname + "." + g.Domain,
		"startCpus":                g.CPUs,
		"maxCpu":                   g.CPUs,
		"maxMemory":                g.Memory,
		"hourlyBillingFlag":        g.Hourly,
		"localDiskFlag":            g.LocalDisk,
		"createDate":               date(g.Created),
		"provisionDate":            date(g.Provisioned),
		"datacenter":               object{"name": g.Datacenter},
	}
	power := "HALTED"
	if !g.Provisioned.IsZero() {
		power = "RUNNING"
	}
	o["powerState"] = object{"keyName": power, "name": power[:1] + strings.ToLower(power[1:])}
	o["status"] = object{"keyName": "ACTIVE", "name": "Active"}
	o["deviceStatus"] = object{"keyName": "ALIVE", "name": "Alive"}
	if g.Work != nil {
		o["activeTransaction"] = g.Work.object()
	}
	if !g.Provisioned.IsZero() {
		o["primaryIpAddress"] = fmt.Sprintf("203.0.113.%d", g.ID%254+1) // RFC 5737
		o["primaryBackendIpAddress"] = fmt.Sprintf("10.0.%d.%d", g.ID/254%256, g.ID%254+1)
	}
	return o
}
