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

// The files of the state.
const (
	seedFile      = "sandbox.json"
	keysFile      = "kms.json"
	softlayerFile = "softlayer.json"
	vpcFile       = "vpc.json"
	eventsFile    = "events.jsonl"
	objectsDir    = "objects"
)

// Secret reports whether a file of the folder of a sandbox holds secrets in clear, by its
// name: root keys, API keys and the key that signs tokens are in kms.json, and the
// credentials of the account in sandbox.json. All other files have none, but for objects,
// which are what was uploaded.
func Secret(name string) bool { return name == keysFile || name == seedFile }

// path returns where a file of the state is, or "" if there is no folder.
func (s *Sandbox) path(name string) string {
	if s.o.Dir == "" {
		return ""
	}
	return filepath.Join(s.o.Dir, name)
}

// loadSeed loads the seed and the key service, if they were saved. The one is of no use
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

// load loads the state of the other services, where there is any.
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

// Save saves the state, if there is a folder for it, as is also done a second after each
// change. Transactions that are under way are saved as such, and have failed when they are
// loaded.
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

// changed tells the saver that there is something to save. It never waits.
func (s *Sandbox) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// saver saves what has changed, until the sandbox ends, so that little is lost if the
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
		s.Save() // Close tells of what is wrong
	}
}

// replace writes a file, readable for the owner only, in place of an older one.
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

// prepare makes what the options ask for and is not there.
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
