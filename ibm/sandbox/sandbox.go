// Package sandbox runs local replacements for the services that the import of an encrypted image
// needs: IAM, Key Protect, Cloud Object Storage, SoftLayer, VPC and the audit log, each
// on a port of the loopback interface. Use it for tests and experiments without an account. It
// uses real cryptography, and opens the images as the cloud does.
//
// [Start] creates an account with an API key and a root key. [Sandbox.Settings] returns the
// addresses and credentials. The packages below can be used separately. This one connects them: it
// lets each service check the tokens, authorizations, keys and objects of the others.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
	"github.com/luksimg/luksimg/ibm/sandbox/s3"
	"github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/sandbox/vpc"
)

// Region is the region of the sandbox: of its Key Protect instance, its VPC, and the buckets that
// it creates itself.
const Region = "us-south"

// Options are the settings of a [Sandbox]. The zero value is usable.
type Options struct {
	// Dir is the folder of the state. Start creates it if it is missing and otherwise loads the
	// state. The sandbox saves a second after each change and in [Sandbox.Close]. Only
	// one sandbox may use a folder at a time. It holds root keys and credentials: see
	// [Secret]. "" keeps the state in memory, and objects in a temporary folder.
	Dir string

	// Port is the port of the first service; the others use the following ones. Zero means
	// free ports.
	Port int

	// Bucket, if not "", is a bucket that Start creates in [Region].
	Bucket string

	// Authorize grants Cloud Block Storage access to Key Protect, and the VPC image
	// service access to Object Storage. Otherwise the user must grant both.
	Authorize bool

	// StepTime is the additional duration of each step of an import or an order.
	StepTime time.Duration

	// AuthorizeLate makes classic infrastructure check the authorization of Cloud Block
	// Storage only when a server is ordered.
	AuthorizeLate bool

	// Faults are the injected faults of all services; nil means a new set. See
	// [Sandbox.Faults].
	Faults *fault.Set

	// Now returns the current time; nil means time.Now.
	Now func() time.Time

	// Log, if not nil, is called with each request and its status, which is 0 if there was
	// no response, from many goroutines. The path excludes the query, which can
	// hold secrets.
	Log func(service, method, path string, status int)
}

// A Sandbox is a set of running services. It is safe for concurrent use.
type Sandbox struct {
	o       Options
	faults  *fault.Set
	journal *journal
	seed    seed

	kms       *kms.Server
	store     *s3.Server
	softlayer *softlayer.Server
	vpc       *vpc.Server

	settings Settings
	servers  []*http.Server
	serving  sync.WaitGroup

	saving  sync.Mutex    // guards the files
	dirty   chan struct{} // see changed
	ending  chan struct{} // closed when Close begins
	stop    func() bool   // detaches the context of Start
	closing sync.Once
	closed  error
	done    chan struct{}
}

// Start starts all services. They run until [Sandbox.Close], or the end of ctx.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sandbox{o: o, faults: o.Faults, dirty: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{})}
	if s.faults == nil {
		s.faults = &fault.Set{}
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s.stop = context.AfterFunc(ctx, func() { s.Close() })
	return s, nil
}

// open creates or loads the services, and starts their servers.
func (s *Sandbox) open() error {
	if s.o.Dir != "" {
		if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
			return err
		}
	}
	s.journal = newJournal(s.path(eventsFile), s.changed)
	if err := s.journal.load(); err != nil {
		return err
	}
	s.kms = kms.New(kms.Options{Now: s.o.Now, Events: func(e kmsEvent) { s.journal.add(e) }})
	if err := s.plant(); err != nil {
		return err
	}
	var err error
	if s.store, err = s3.New(s3.Options{
		Token: s.bearer, Access: s.mayStore, HMAC: s.hmac, Instance: s.seed.COSInstanceID, RootKey: s.mayProtect, Protected: s.protected,
		Dir: s.path(objectsDir), Keep: s.o.Dir != "", Now: s.o.Now,
	}); err != nil {
		return err
	}
	if s.softlayer, err = softlayer.New(softlayer.Options{
		Users: map[string]string{s.seed.User: s.seed.UserKey, "apikey": s.seed.APIKey}, Account: s.kms.Account(),
		Tokens: exchanger{s}, KMS: classicKeys{s}, Store: objects{s}, Events: func(e audit.Event) { s.journal.add(e) },
		Openers:  map[string]softlayer.ImageOpener{"vhd": softlayer.OpenVHD},
		StepTime: s.o.StepTime, Clock: clock(s.o.Now), AuthorizeLate: s.o.AuthorizeLate,
	}); err != nil {
		return err
	}
	if s.vpc, err = vpc.New(vpc.Options{
		Region: Region, Account: s.kms.Account(), Tokens: checker{s}, KMS: vpcKeys{s}, Store: vpcObjects{s}, Events: func(e audit.Event) { s.journal.add(e) },
		WorkTime: s.o.StepTime, Clock: clock(s.o.Now),
	}); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.Save(); err != nil {
		return err
	}
	return s.listen()
}

// listen starts the server of each service.
func (s *Sandbox) listen() error {
	for i, x := range []struct {
		name    string
		handler http.Handler
		url     *string
	}{
		{"iam", s.kms.IAM(), &s.settings.IAM},
		{"kms", s.kms.KeyProtect(), &s.settings.KMS},
		{"cos", s.store, &s.settings.COS},
		{"softlayer", s.softlayer, &s.settings.SoftLayer},
		{"vpc", s.vpc, &s.settings.VPC},
		{"logs", http.HandlerFunc(s.query), &s.settings.Logs},
	} {
		port := 0
		if s.o.Port != 0 {
			port = s.o.Port + i
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		*x.url = "http://" + l.Addr().String()
		srv := &http.Server{Handler: s.front(x.name, x.handler), ReadHeaderTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
		s.servers = append(s.servers, srv)
		s.serving.Go(func() { srv.Serve(l) })
	}
	if s.o.Dir != "" {
		s.serving.Go(s.saver)
	}
	s.settings.Control = s.settings.IAM + "/_sandbox"
	s.settings.SoftLayer += "/rest/v3.1"
	return nil
}

// Faults returns the injected faults.
func (s *Sandbox) Faults() *fault.Set { return s.faults }

// KMS returns the server of IAM and Key Protect, to create resources without the API.
func (s *Sandbox) KMS() *kms.Server { return s.kms }

// Objects returns the server of Cloud Object Storage.
func (s *Sandbox) Objects() *s3.Server { return s.store }

// SoftLayer returns the server of classic infrastructure.
func (s *Sandbox) SoftLayer() *softlayer.Server { return s.softlayer }

// Wait waits until no import and no order is running.
func (s *Sandbox) Wait() {
	s.softlayer.Wait()
	s.vpc.Wait()
}

// Done returns a channel that is closed when the sandbox has closed.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Close stops all services, saves the state if Options.Dir is set, and removes all
// temporary files. Running imports and orders fail.
func (s *Sandbox) Close() error {
	s.closing.Do(func() {
		defer close(s.done)
		close(s.ending)
		if s.stop != nil {
			s.stop()
		}
		var errs []error
		for _, srv := range s.servers {
			errs = append(errs, srv.Close())
		}
		s.serving.Wait()
		if s.softlayer != nil {
			errs = append(errs, s.softlayer.Close())
		}
		if s.vpc != nil {
			errs = append(errs, s.vpc.Close())
		}
		if s.servers != nil { // Start succeeded
			errs = append(errs, s.Save())
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		if s.journal != nil {
			errs = append(errs, s.journal.close())
		}
		s.closed = errors.Join(errs...)
	})
	<-s.done
	return s.closed
}
