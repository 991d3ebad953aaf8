package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
	"github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/sandbox/vpc"
)

// Files of the state folder.
const (
	seedFile      = "sandbox.json"
	keysFile      = "kms.json"
	softlayerFile = "softlayer.json"
	vpcFile       = "vpc.json"
	eventsFile    = "events.jsonl"
	objectsDir    = "objects"
)

// Secret reports whether the named file of a state folder contains plaintext secrets.
// kms.json holds the root keys, the API keys and the token signing key; sandbox.json holds the
// credentials of the account. All other files hold no secrets, except that objects
// contain what was uploaded.
func Secret(name string) bool { return name == keysFile || name == seedFile }

// path returns the path of a state file, or "" without a folder.
func (s *Sandbox) path(name string) string {
	if s.o.Dir == "" {
		return ""
	}
	return filepath.Join(s.o.Dir, name)
}

// loadSeed loads the seed and the key service, if they were saved. Neither is usable
// without the other.
func (s *Sandbox) loadSeed() (bool, error) {
	if s.o.Dir == "" {
		return false, nil
	}
	text, err := os.ReadFile(s.path(seedFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, &s.seed); err != nil || s.seed.APIKey == "" || s.seed.RootKey == "" {
		return false, fmt.Errorf("%s is not the state of a sandbox: choose another folder", s.path(seedFile))
	}
	return true, s.kms.Load(s.o.Dir)
}

// load loads the saved state of the other services.
func (s *Sandbox) load() error {
	if s.o.Dir == "" {
		return nil
	}
	for name, load := range map[string]func(io.Reader) error{softlayerFile: s.softlayer.Load, vpcFile: s.vpc.Load} {
		f, err := os.Open(s.path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = load(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

// Save saves the state if Options.Dir is set. The sandbox also does this a second after each
// change. It saves running transactions as running; loading turns them into
// failed ones.
func (s *Sandbox) Save() error {
	if s.o.Dir == "" {
		return nil
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	if err := s.kms.Save(s.o.Dir); err != nil {
		return err
	}
	if err := s.store.Save(); err != nil {
		return err
	}
	for name, save := range map[string]func(io.Writer) error{
		seedFile: func(w io.Writer) error {
			text, err := encode(s.seed)
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		},
		softlayerFile: s.softlayer.Save,
		vpcFile:       s.vpc.Save,
	} {
		if err := replace(s.path(name), save); err != nil {
			return err
		}
	}
	return nil
}

// changed notifies the saver of a change, without blocking.
func (s *Sandbox) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// saver saves changes until the sandbox closes, so that little is lost if the
// process is killed.
func (s *Sandbox) saver() {
	for {
		select {
		case <-s.ending:
			return
		case <-s.dirty:
		}
		select {
		case <-s.ending:
			return
		case <-time.After(time.Second):
		}
		s.Save() // Close reports errors
	}
}

// replace atomically replaces a file by one that only the owner can read.
func replace(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// prepare creates the resources that the options ask for and that do not exist.
func (s *Sandbox) prepare() error {
	if s.o.Bucket != "" {
		if err := s.store.CreateBucket(s.kms.Account(), s.o.Bucket, Region+"-standard"); err != nil && !errors.Is(err, s3.ErrExists) {
			return err
		}
	}
	if !s.o.Authorize {
		return nil
	}
	for _, a := range [][2]string{{softlayer.ServiceIdentity, "kms"}, {vpc.ServiceIdentity, objectStorage}} {
		s.kms.Authorize(a[0], a[1])
	}
	return nil
}

func newID() string { return uuid.NewString() }

func hexText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func digits(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	return string(b)
}
