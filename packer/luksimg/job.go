package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
	"github.com/luksimg/luksimg/wrap/local"
)

// A job is one run of the post-processor.
type job struct {
	*Config
	ui               packersdk.Ui
	source           deploy.Source
	output, envelope string
}

const tool = "packer-plugin-luksimg"

// keyBytes is the length of a new key. vhdKeyBytes is the length for an encrypted VHD, whose key is the AES-256-XTS key
// itself.
const (
	keyBytes    = 32
	vhdKeyBytes = 64
)

// encrypt makes the encrypted image, its key file and its envelope, and uploads the image if the template says so.
// Files appear under their names only when they are complete, the key first.
func (j *job) encrypt(ctx context.Context) (*Artifact, error) {
	files := deploy.Local{}
	if err := j.checkPlace(ctx); err != nil {
		return nil, err
	}
	disk, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	if err := j.encryptOptions().CheckSize(disk.Size()); err != nil {
		return nil, err
	}
	key, keyFile, err := j.key(files)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if keyFile != nil {
		defer keyFile.Abort()
	}
	if err := j.profile().CheckKey(key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	root, err := j.rootKey(ctx)
	if err != nil {
		return nil, err
	}
	out, err := j.create(files, j.output)
	if err != nil {
		return nil, err
	}
	defer out.Abort()

	j.ui.Sayf("Encrypting %s (%s, %s) as %s: %s", j.source.Name, disk.Format, size(disk.Size()), j.made(), j.output)
	o := j.encryptOptions()
	o.LUKS.GeneratedKey = j.KeyFile == "" // a generated key needs no stretching
	o.Progress = j.progress("encrypted", disk.Size())
	r, err := luksimg.Encrypt(ctx, out, disk.Image, key, o)
	if err == nil {
		err = disk.Unchanged()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.source.Name, err)
	}

	var seal *wrap.Envelope
	if root != nil {
		if seal, err = j.seal(ctx, root, key, r.UUID); err != nil {
			return nil, err
		}
	}
	if keyFile != nil {
		if _, err := keyFile.Write(key); err != nil {
			return nil, err
		}
		if err := keyFile.Commit(); err != nil {
			return nil, err
		}
		j.ui.Sayf("The new key is in %s. Keep it: without it, nothing opens the image", j.GenerateKey)
	}
	if err := out.Commit(); err != nil {
		return nil, err
	}
	a := &Artifact{id: j.output, files: []string{j.output}, text: "encrypted image " + j.output, state: map[string]any{"uuid": r.UUID}}
	if seal != nil {
		if err := j.writeEnvelope(files, seal); err != nil {
			return nil, err
		}
		a.files = append(a.files, j.envelope)
	}
	if j.Verify {
		if err := j.verify(ctx, files, disk, key); err != nil {
			return nil, errors.Join(err, a.Destroy())
		}
	}
	if j.Object != "" {
		if err := j.upload(ctx, files); err != nil {
			return nil, err
		}
		a.id, a.text, a.state["object"] = j.Object, fmt.Sprintf("encrypted image %s at %s", j.output, j.Object), j.Object
	}
	return a, nil
}

// open opens the disk that the build made.
func (j *job) open(ctx context.Context) (*deploy.Disk, error) {
	if j.SourceFormat == "" {
		return j.source.Open(ctx)
	}
	f, err := deploy.Local{}.Open(j.source.Name)
	if err != nil {
		return nil, err
	}
	img, err := luksimg.OpenImage(ctx, f, f.Size(), luksimg.ImageOptions{Format: luksimg.Format(j.SourceFormat)})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", j.source.Name, err)
	}
	return &deploy.Disk{Image: img, Unchanged: func() error { return nil }, Close: func() { img.Close(); f.Close() }}, nil
}

// key returns the key that opens the image. For a new key it also returns the unfinished key file, if there is one.
func (j *job) key(files deploy.Files) (key []byte, file deploy.Output, err error) {
	if j.KeyFile != "" {
		key, err = readFile(files, j.KeyFile)
		return key, nil, err
	}
	if j.GenerateKey != "" {
		if file, err = j.createPrivate(files, j.GenerateKey); err != nil {
			return nil, nil, err
		}
	}
	if j.made() == luksimg.VHD {
		key, err = wrap.NewMaterial(vhdKeyBytes, true)
	} else {
		key, err = wrap.NewMaterial(keyBytes, false)
	}
	if err != nil && file != nil {
		file.Abort()
	}
	return key, file, err
}

// rootKey returns the root key that wraps the key, or nil.
func (j *job) rootKey(context.Context) (*wrap.RootKey, error) {
	switch {
	case j.RootKeyFile != "":
		return local.RootKey(local.Prefix + j.RootKeyFile)
	case j.RootKeyCRN != "":
		tokens, err := j.tokens()
		if err != nil {
			return nil, err
		}
		c, err := keyprotect.New(keyprotect.Options{CRN: j.RootKeyCRN, URL: j.KMSURL, Tokens: tokens})
		if err != nil {
			return nil, err
		}
		return &wrap.RootKey{Wrapper: c, Unwrapper: c, CRN: j.RootKeyCRN}, nil
	}
	return nil, nil
}

func (j *job) tokens() (*iam.Client, error) {
	return iam.New(iam.Options{URL: j.IAMURL, APIKey: []byte(j.IBMCloudAPIKey)})
}

// seal wraps the key. It refuses to leave the only copy of the key in a wrapped form that was not checked.
func (j *job) seal(ctx context.Context, root *wrap.RootKey, key []byte, uuid string) (*wrap.Envelope, error) {
	convention := j.profile().Rules().Convention
	e, checked, err := wrap.Seal(ctx, root, key, wrap.SealOptions{
		Convention: convention, RootKeyCRN: root.CRN, KMS: root.KMS, ImageUUID: uuid, Fingerprint: j.KeyFile == "" || convention.Generated(),
		Created: time.Now().UTC().Truncate(time.Second), Tool: tool, Unwrapper: root,
	})
	if err != nil {
		return nil, err
	}
	if !checked && j.KeyFile == "" && j.GenerateKey == "" {
		return nil, fmt.Errorf("this identity may not unwrap with %s, so the only copy of the key cannot be checked: give generate_key too", root)
	}
	j.ui.Sayf("The key is wrapped by %s", root)
	return e, nil
}

func (j *job) writeEnvelope(files deploy.Files, e *wrap.Envelope) error {
	f, err := j.create(files, j.envelope)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := e.Write(f); err != nil {
		return err
	}
	return f.Commit()
}

// verify decrypts the output and compares it with the disk.
func (j *job) verify(ctx context.Context, files deploy.Files, disk *deploy.Disk, key []byte) error {
	f, err := files.Open(j.output)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := luksimg.OpenImage(ctx, f, f.Size(), luksimg.ImageOptions{Format: j.made(), Key: key})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer img.Close()
	var o luksimg.VerifyOptions
	o.Progress = j.progress("verified", disk.Size())
	if err := luksimg.Verify(ctx, disk.Image, img, o); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// checkPlace checks the destination of the upload. Without packer build -force, it refuses an existing object.
func (j *job) checkPlace(ctx context.Context) error {
	if j.Object == "" {
		return nil
	}
	store, object, err := j.place()
	if err != nil {
		return err
	}
	_, err = store.CheckPlace(ctx, object, cos.PlaceOptions{Replace: j.PackerForce})
	if errors.Is(err, fs.ErrExist) {
		err = forceReplaces(err)
	}
	return err
}

// upload sends the output to Object Storage. It does not resume an interrupted upload.
func (j *job) upload(ctx context.Context, files deploy.Files) error {
	store, object, err := j.place()
	if err != nil {
		return err
	}
	f, err := files.Open(j.output)
	if err != nil {
		return err
	}
	defer f.Close()
	j.ui.Sayf("Uploading %s to %s", j.output, j.Object)
	_, err = store.Upload(ctx, object, f, f.Size(), cos.UploadOptions{Progress: j.progress("uploaded", f.Size())})
	return err
}

// place returns the destination of the upload, and a client for it.
func (j *job) place() (store *cos.Client, object cos.Object, err error) {
	if object, err = cos.ParseURI(j.Object); err != nil {
		return nil, object, err
	}
	tokens, err := j.tokens()
	if err != nil {
		return nil, object, err
	}
	store, err = cos.New(cos.Options{Endpoint: j.COSURL, Tokens: tokens})
	return store, object, err
}

// create creates a file. With packer build -force it replaces an existing file.
func (j *job) create(files deploy.Files, name string) (deploy.Output, error) {
	if j.PackerForce {
		if err := files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	out, err := files.Create(name, 0o666)
	if errors.Is(err, fs.ErrExist) {
		err = forceReplaces(err)
	}
	return out, err
}

// createPrivate creates a key file. It never replaces an existing file.
func (j *job) createPrivate(files deploy.Files, name string) (deploy.Output, error) {
	out, err := files.Create(name, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = keyExists(err)
	}
	return out, err
}

// forceReplaces explains the error of an existing file or object.
func forceReplaces(err error) error { return fmt.Errorf("%w; packer build -force replaces it", err) }

// keyExists explains the error of an existing key file.
func keyExists(err error) error {
	return fmt.Errorf("%w; a key file is never replaced, not even with -force", err)
}

// maxKeyFile is the largest key file in bytes, the same as in cryptsetup.
const maxKeyFile = 8 << 20

func readFile(files deploy.Files, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() == 0 || f.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s: a key file has 1 to %d bytes, not %d", name, maxKeyFile, f.Size())
	}
	key := make([]byte, f.Size())
	if _, err := f.ReadAt(key, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return key, nil
}

// progress returns a function that prints a message at each tenth of total.
func (j *job) progress(what string, total int64) func(n int64) {
	var mu sync.Mutex
	var done, tenth int64
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		if t := 10 * done / max(total, 1); t > tenth && t <= 10 {
			tenth = t
			j.ui.Message(fmt.Sprintf("%s %d %%", what, 10*t))
		}
	}
}

func size(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }
