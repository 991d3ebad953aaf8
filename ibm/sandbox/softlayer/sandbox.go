// Package softlayer emulates the part of the IBM Cloud classic infrastructure (SoftLayer)
// API that image import needs, for tests and experiments without an account. It serves the
// REST interface used by softlayer-go, with templates, servers and their transactions.
//
// Like the cloud, it fetches the object, unwraps the key, opens the image and reads its boot
// sector. It does so at the import and again when a server is ordered. An error makes the transaction
// fail at that step, with a message that says what to do. Step names and messages are the emulator's
// own: the real ones are not documented.
//
// [New] returns a [Server], which is an http.Handler.
package softlayer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
)

// Options are the settings of a [Server]. Tokens, KMS and Store must be set.
type Options struct {
	Users   map[string]string `json:"-"` // API keys by user name
	Account string            // account in CRNs; "" means "sandbox"

	Tokens TokenExchanger
	KMS    KMS
	Store  ObjectStore

	// Openers are the image openers by lower-case extension: "raw", "vhd". The default
	// for raw is [OpenLUKS]. The emulator refuses encrypted images of other extensions without an
	// opener.
	Openers map[string]ImageOpener

	// Events, if not nil, receives an event for each import and each server when it
	// has finished or failed. It is called from many goroutines, and must not call the
	// server.
	Events func(audit.Event)

	// StepTime is the additional duration of each step of a transaction.
	StepTime time.Duration

	// Clock provides the time for StepTime and dates; nil means the system clock.
	Clock Clock

	// AuthorizeLate checks the authorization of Cloud Block Storage only when a server
	// is ordered. The import then unwraps as the owner of the API key.
	AuthorizeLate bool
}

// A Server is the emulated API. It is an http.Handler. It serves REST below any prefix
// that ends with /rest/v3 or /rest/v3.1, and XML-RPC, which slcli uses, below /xmlrpc/v3 or /xmlrpc/v3.1.
type Server struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // running transactions

	mu     sync.Mutex
	state  state
	faults map[string][]Fault // by method
}

// New returns an emulator without templates and servers.
func New(opts Options) (*Server, error) {
	if opts.Tokens == nil || opts.KMS == nil || opts.Store == nil {
		return nil, errors.New("sandbox/softlayer: Tokens, KMS and Store must be set")
	}
	if opts.Account == "" {
		opts.Account = "sandbox"
	}
	if opts.Clock == nil {
		opts.Clock = systemClock{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{opts: opts, ctx: ctx, cancel: cancel, state: state{NextID: 1000}, faults: make(map[string][]Fault)}, nil
}

// Close stops all transactions and waits for them.
func (s *Server) Close() error {
	s.cancel()
	s.work.Wait()
	return nil
}

// Wait waits until no transaction is running.
func (s *Server) Wait() { s.work.Wait() }

// maxBody limits the body of a request in bytes.
const maxBody = 1 << 20

// An apiError is an error response of the API.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.message }

// public returns the error of the API for most invalid requests.
func public(format string, args ...any) error {
	return &apiError{http.StatusInternalServerError, "SoftLayer_Exception_Public", fmt.Sprintf(format, args...)}
}

func notFound(id int) error {
	return &apiError{http.StatusNotFound, "SoftLayer_Exception_ObjectNotFound", fmt.Sprintf("Unable to find object with id of '%d'.", id)}
}

// A call is a parsed request.
type call struct {
	service, method string
	id              int // 0 if there is none
	mask            mask
	filter          string
	total           int // length of the whole list, set by page
	offset, limit   int
	parameters      []json.RawMessage
}

// ServeHTTP answers one call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parse, answer := parseCall, answer
	if strings.Contains(r.URL.Path, xmlPath) {
		parse, answer = parseXML, answerXML
	}
	c, err := parse(r)
	if err == nil && !s.signedIn(r) {
		err = &apiError{http.StatusUnauthorized, "SoftLayer_Exception_Public", "Invalid API token."}
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	fault := s.takeFault(c.method)
	if fault != nil && fault.before(w) {
		return
	}
	result, err := s.dispatch(r.Context(), c)
	if fault != nil && fault.after(w) {
		return
	}
	if err == nil {
		w.Header().Set("Softlayer-Total-Items", strconv.Itoa(c.total))
	}
	answer(w, result, err)
}

// answer writes a result or an error. It writes no trailing newline, since softlayer-go does
// not accept "true\n" as a boolean.
func answer(w http.ResponseWriter, result any, err error) {
	status := http.StatusOK
	if err != nil {
		e := new(apiError)
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, "SoftLayer_Exception", err.Error()}
		}
		status, result = e.status, object{"error": e.message, "code": e.code}
	}
	if c, ok := result.(created); ok {
		status, result = http.StatusCreated, c.value
	}
	text, err := json.Marshal(result)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"Internal Error","code":"SoftLayer_Exception"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}

// created is a result with status 201.
type created struct{ value any }

func (s *Server) signedIn(r *http.Request) bool {
	user, key, ok := r.BasicAuth()
	want, known := s.opts.Users[user]
	a, b := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok && known
}

// parseCall parses /rest/v3.1/SERVICE[/ID][/METHOD].json.
func parseCall(r *http.Request) (*call, error) {
	bad := &apiError{http.StatusNotFound, "SoftLayer_Exception_NotFound", "There is no such service or method."}
	_, path, ok := strings.Cut(r.URL.Path, "/rest/v3")
	path, isJSON := strings.CutSuffix(path, ".json")
	parts := strings.Split(path, "/") // "" or ".1", service, ...
	if !ok || !isJSON || len(parts) < 2 || len(parts) > 4 || parts[0] != "" && parts[0] != ".1" {
		return nil, bad
	}
	c := &call{service: parts[1], limit: maxList}
	rest := parts[2:]
	if len(rest) > 0 {
		if id, err := strconv.Atoi(rest[0]); err == nil && id > 0 {
			c.id, rest = id, rest[1:]
		}
	}
	switch {
	case len(rest) == 1:
		c.method = rest[0]
	case len(rest) > 1:
		return nil, bad
	case r.Method == http.MethodPost:
		c.method = "createObject"
	case r.Method == http.MethodGet:
		c.method = "getObject"
	case r.Method == http.MethodDelete:
		c.method = "deleteObject"
	default:
		return nil, bad
	}
	q := r.URL.Query()
	var err error
	if c.mask, err = parseMask(q.Get("objectMask")); err != nil {
		return nil, public("%v", err)
	}
	c.filter = q.Get("objectFilter")
	if l := q.Get("resultLimit"); l != "" {
		offset, limit, _ := strings.Cut(l, ",")
		c.offset, _ = strconv.Atoi(offset)
		c.limit, _ = strconv.Atoi(limit)
	}
	if r.Method == http.MethodPost {
		var body struct {
			Parameters []json.RawMessage `json:"parameters"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&body); err != nil {
			return nil, public("The request body is not understood.")
		}
		c.parameters = body.Parameters
	}
	return c, nil
}

// maxList limits a list without resultLimit.
const maxList = 1000

const (
	groupService   = "SoftLayer_Virtual_Guest_Block_Device_Template_Group"
	guestService   = "SoftLayer_Virtual_Guest"
	accountService = "SoftLayer_Account"
	orderService   = "SoftLayer_Product_Order"
	packageService = "SoftLayer_Product_Package"
	presetService  = "SoftLayer_Product_Package_Preset"
)

// methods lists all supported methods by service and name.
var methods = map[string]func(*Server, context.Context, *call) (any, error){
	groupService + "::createFromIcos":                        (*Server).createFromIcos,
	groupService + "::copyToIcos":                            (*Server).copyToIcos,
	groupService + "::getObject":                             (*Server).getGroup,
	groupService + "::deleteObject":                          (*Server).deleteGroup,
	groupService + "::getStatus":                             (*Server).getGroupProperty,
	groupService + "::getTransaction":                        (*Server).getGroupProperty,
	groupService + "::getChildren":                           (*Server).getGroupProperty,
	groupService + "::isEncrypted":                           (*Server).groupFlag,
	groupService + "::isCloudInit":                           (*Server).groupFlag,
	groupService + "::isByol":                                (*Server).groupFlag,
	groupService + "::getVhdImportSoftwareDescriptions":      (*Server).osCodes,
	accountService + "::getBlockDeviceTemplateGroups":        (*Server).listGroups,
	accountService + "::getPrivateBlockDeviceTemplateGroups": (*Server).listGroups,
	accountService + "::getVirtualGuests":                    (*Server).listGuests,
	guestService + "::createObject":                          (*Server).createGuest,
	guestService + "::generateOrderTemplate":                 (*Server).checkGuest,
	guestService + "::getObject":                             (*Server).getGuest,
	guestService + "::getActiveTransaction":                  (*Server).getGuestProperty,

	groupService + "::getPublicImages":              (*Server).nothing,
	accountService + "::getHourlyVirtualGuests":     (*Server).listGuests,
	accountService + "::getMonthlyVirtualGuests":    (*Server).listGuests,
	accountService + "::getSshKeys":                 (*Server).nothing,
	guestService + "::deleteObject":                 (*Server).deleteGuest,
	guestService + "::getCreateObjectOptions":       (*Server).createOptions,
	orderService + "::verifyOrder":                  (*Server).verifyOrder,
	orderService + "::placeOrder":                   (*Server).placeOrder,
	packageService + "::getAllObjects":              (*Server).listPackages,
	packageService + "::getItems":                   (*Server).packageProperty,
	packageService + "::getItemPrices":              (*Server).packageProperty,
	packageService + "::getActivePresets":           (*Server).packageProperty,
	packageService + "::getRegions":                 (*Server).packageProperty,
	presetService + "::getObject":                   (*Server).getPreset,
	"SoftLayer_Location::getDatacenters":            (*Server).listLocations,
	"SoftLayer_Location_Datacenter::getDatacenters": (*Server).listLocations,
	"SoftLayer_Network_Pod::getAllObjects":          (*Server).nothing,

	packageService + "::getAccountRestrictedActivePresets": (*Server).packageProperty,
}

func (s *Server) dispatch(ctx context.Context, c *call) (any, error) {
	m, ok := methods[c.service+"::"+c.method]
	if !ok {
		return nil, &apiError{http.StatusNotFound, "SoftLayer_Exception_NotFound", "There is no such service or method."}
	}
	return m(s, ctx, c)
}

// parameter decodes the single parameter of a call.
func (c *call) parameter(into any) error {
	if len(c.parameters) != 1 || json.Unmarshal(c.parameters[0], into) != nil {
		return public("The parameters of %s are not understood.", c.method)
	}
	return nil
}

// page returns the requested part of a list, with the mask applied.
func (c *call) page(list []object, collection string) (any, error) {
	list, err := filter(list, c.filter, collection)
	if err != nil {
		return nil, public("%v", err)
	}
	c.total = len(list)
	from := min(max(c.offset, 0), len(list))
	to := min(from+min(max(c.limit, 0), maxList), len(list))
	return c.mask.apply(append([]object{}, list[from:to]...)), nil
}
