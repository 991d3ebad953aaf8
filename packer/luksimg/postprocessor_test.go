package luksimg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"
)

// disk writes a disk of 1.5 MiB that passes the checks for a boot sector and cloud-init.
func disk(t *testing.T, dir string) (name string, content []byte) {
	t.Helper()
	content = bytes.Repeat([]byte("what is on the disk, 32 bytes..\n"), 3<<19/32)
	clear(content[440:512]) // an MBR with one partition of type 0x83: 3000 sectors from sector 1
	content[450], content[454] = 0x83, 1
	content[458], content[459] = 3000&0xff, 3000>>8
	content[510], content[511] = 0x55, 0xaa
	name = filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, content
}

type template map[string]any

func (m template) with(more template) template {
	all := maps.Clone(m)
	maps.Copy(all, more)
	return all
}

// process runs the post-processor as Packer does: Configure, then PostProcess.
func process(t *testing.T, c template, files ...string) (packersdk.Artifact, *packersdk.MockUi, error) {
	t.Helper()
	var p PostProcessor
	if err := p.Configure(map[string]any(c)); err != nil {
		return nil, nil, err
	}
	ui := &packersdk.MockUi{}
	a, keep, must, err := p.PostProcess(t.Context(), ui, &packersdk.MockArtifact{BuilderIdValue: "test.file", FilesValue: files})
	if err == nil && (keep || must) {
		t.Error("the unencrypted disk is kept by default")
	}
	if err != nil && !(keep && must) && !strings.Contains(err.Error(), "artifact") {
		t.Errorf("the only disk is not kept: %v", err)
	}
	return a, ui, err
}

// opens checks that an image opens with a key and holds the disk.
func opens(t *testing.T, name string, key, want []byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := luksimg.OpenImage(t.Context(), f, fi.Size(), luksimg.ImageOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if !img.Encrypted {
		t.Errorf("%s is not encrypted", name)
	}
	got := make([]byte, len(want))
	if _, err := img.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: the data differs: %v", name, err)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		more   template
		output string
		format luksimg.Format
	}{
		{template{}, "disk.luks", luksimg.LUKS2},
		{template{"format": "luks1"}, "disk.luks", luksimg.LUKS1},
		{template{"format": "qcow2"}, "disk.encrypted.qcow2", luksimg.QCOW2},
		{template{"profile": "classic-luks"}, "disk.encrypted.raw", luksimg.LUKS1},
		{template{"profile": "classic-vhd"}, "disk.encrypted.vhd", luksimg.VHD},
		{template{"output": "", "source_format": "raw"}, "disk.luks", luksimg.LUKS2},
	} {
		dir := t.TempDir()
		src, content := disk(t, dir)
		keyFile := filepath.Join(dir, "key")
		a, _, err := process(t, template{"generate_key": keyFile, "verify": true}.with(c.more), src)
		if err != nil {
			t.Errorf("%v: %v", c.more, err)
			continue
		}
		want := filepath.Join(dir, c.output)
		if a.Id() != want || len(a.Files()) != 1 || a.Files()[0] != want || a.BuilderId() != BuilderID {
			t.Errorf("%v: artifact %s, %q of %s", c.more, a.Id(), a.Files(), a.BuilderId())
		}
		fi, err := os.Stat(keyFile)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatal(fi, err)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		opens(t, want, key, content)
		f, err := os.Open(want)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Stat()
		if got, err := luksimg.Detect(f, size.Size()); err != nil || got != c.format {
			t.Errorf("%v: the output is %s (%v), want %s", c.more, got, err, c.format)
		}
		f.Close()
		if err := a.Destroy(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(want); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: Destroy leaves %s", c.more, want)
		}
	}
}

// TestWrapped stores the key only in the envelope.
func TestWrapped(t *testing.T) {
	dir := t.TempDir()
	src, content := disk(t, dir)
	rootFile := filepath.Join(dir, "root.key")
	root, err := local.Create(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "{{.BuildName}}.luks")
	a, ui, err := process(t, template{"root_key_file": rootFile, "output": out, "packer_build_name": "web", "profile": "classic-luks"}, src)
	if err != nil {
		t.Fatal(err)
	}
	image, envelope := filepath.Join(dir, "web.luks"), filepath.Join(dir, "web.luks.envelope.json")
	if f := a.Files(); len(f) != 2 || f[0] != image || f[1] != envelope {
		t.Fatalf("files %q", f)
	}
	text, err := os.ReadFile(envelope)
	if err != nil {
		t.Fatal(err)
	}
	e, err := wrap.ReadEnvelope(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if e.ImageUUID == "" || e.ImageUUID != a.State("uuid") || e.Convention != wrap.ClassicLUKS {
		t.Errorf("envelope of %q, %s; the image has %v", e.ImageUUID, e.Convention, a.State("uuid"))
	}
	key, err := wrap.Open(t.Context(), root, e)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, image, key.Disk, content)
	for _, m := range ui.SayMessages {
		if strings.Contains(m.Message, string(key.Disk)) {
			t.Errorf("the key is in %q", m.Message)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	src, content := disk(t, dir)
	keyFile := filepath.Join(dir, "key")
	if err := os.WriteFile(keyFile, []byte("a passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _, err := process(t, template{"key_file": keyFile, "format": "luks1"}, filepath.Join(dir, "disk.ovf"), src)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, a.Id(), []byte("a passphrase\n"), content)

	// Without -force nothing is replaced. A key file is never replaced.
	if _, _, err := process(t, template{"key_file": keyFile, "format": "luks1"}, src); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing image: %v", err)
	}
	if _, _, err := process(t, template{"key_file": keyFile, "packer_force": true}, src); err != nil {
		t.Error(err)
	}
	if _, _, err := process(t, template{"generate_key": keyFile, "packer_force": true}, src); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing key: %v", err)
	}
}

func TestRefused(t *testing.T) {
	t.Setenv("IBMCLOUD_API_KEY", "")
	dir := t.TempDir()
	src, _ := disk(t, dir)
	good := template{"generate_key": filepath.Join(dir, "key")}
	deployed := template{"profile": "classic-luks", "object": "cos://us-south/images/", "root_key_crn": "crn", "ibmcloud_api_key": "secret",
		"deploy": map[string]any{"name": "web", "os_code": "UBUNTU_22_64"}}
	for _, c := range []struct {
		c    template
		want string
	}{
		{template{}, "no key"},
		{good.with(template{"key_file": "x"}), "exclude each other"},
		{good.with(template{"root_key_crn": "x", "root_key_file": "y"}), "exclude each other"},
		{good.with(template{"format": "vdi"}), `format: "vdi" is not one of`},
		{good.with(template{"profile": "aws"}), `profile: "aws" is not one of`},
		{good.with(template{"profile": "classic-luks", "format": "qcow2"}), "classic-luks"},
		{good.with(template{"envelope": "x"}), "envelope"},
		{good.with(template{"object": "s3://x/y"}), "it must begin with cos://"},
		{good.with(template{"object": "cos://us-south/images/x"}), "IBMCLOUD_API_KEY"},
		{good.with(template{"output": "{{"}), "output"},
		{good.with(template{"passphrase": "x"}), "passphrase"},
		{template{"generate_key": src}, "a key file is never replaced"},
		{deployed, "SL_USERNAME"},
		{deployed.with(template{"verify": true}), "do not apply to a deployment"},
		{deployed.with(template{"object": ""}), "object is missing"},
		{deployed.with(template{"deploy": map[string]any{"name": "web"}}), "deploy.os_code"},
	} {
		err := new(PostProcessor).Configure(map[string]any(c.c))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.c, err, c.want)
		}
	}
	for _, c := range []struct {
		more  template
		files []string
		want  string
	}{
		{nil, []string{filepath.Join(dir, "a.ovf"), filepath.Join(dir, "a.mf")}, "no disk among its files"},
		{nil, []string{src, filepath.Join(dir, "b.vmdk")}, "several disks"},
		{template{"source": "c.raw"}, []string{src}, `no file "c.raw"`},
		{nil, []string{filepath.Join(dir, "gone.raw")}, "gone.raw"},
		{template{"source_format": "qcow2"}, []string{src}, "qcow2"},
	} {
		if _, _, err := process(t, good.with(c.more), c.files...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.files, err, c.want)
		}
	}
	// A refused build leaves no files.
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	src, _ := disk(t, dir)
	var p PostProcessor
	if err := p.Configure(map[string]any{"generate_key": filepath.Join(dir, "key")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err := p.PostProcess(ctx, &packersdk.MockUi{}, &packersdk.MockArtifact{FilesValue: []string{src}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

// cloud starts the sandbox and returns the settings for a template.
func cloud(t *testing.T) (sandbox.Settings, template) {
	t.Helper()
	c, err := sandbox.Start(t.Context(), sandbox.Options{Bucket: "images", Authorize: true, StepTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	at := c.Settings()
	return at, template{"root_key_crn": at.RootKey, "ibmcloud_api_key": at.APIKey, "iam_url": at.IAM, "kms_url": at.KMS, "cos_url": at.COS}
}

func TestUpload(t *testing.T) {
	_, c := cloud(t)
	dir := t.TempDir()
	src, _ := disk(t, dir)
	a, _, err := process(t, c.with(template{"object": "cos://us-south/images/disk.luks"}), src)
	if err != nil {
		t.Fatal(err)
	}
	if a.Id() != "cos://us-south/images/disk.luks" || a.State("object") != a.Id() {
		t.Errorf("artifact %s, object %v", a.Id(), a.State("object"))
	}
	other := template{"object": "cos://us-south/images/disk.luks", "output": filepath.Join(dir, "other.luks")}
	if _, _, err := process(t, c.with(other), src); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing object: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.luks")); err == nil {
		t.Error("an existing object is found only after the encryption")
	}
	if _, _, err := process(t, c.with(other).with(template{"packer_force": true}), src); err != nil {
		t.Errorf("an existing object with -force: %v", err)
	}
	if _, _, err := process(t, c.with(template{"object": "cos://us-south/other/disk.luks", "packer_force": true}), src); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a missing bucket: %v", err)
	}
}

func TestDeploy(t *testing.T) {
	at, c := cloud(t)
	for profile, d := range map[string]map[string]any{
		"classic-luks": {"name": "web", "os_code": "UBUNTU_22_64", "softlayer_url": at.SoftLayer, "softlayer_username": at.User, "softlayer_api_key": at.UserKey},
		"vpc-qcow2":    {"name": "web", "os_code": "ubuntu-22-04-amd64", "vpc_url": at.VPC},
	} {
		dir := t.TempDir()
		src, _ := disk(t, dir)
		d["any_disk"], d["state"] = true, filepath.Join(dir, "state")
		a, ui, err := process(t, c.with(template{"profile": profile, "object": "cos://us-south/images/", "deploy": d}), src)
		if err != nil {
			t.Errorf("%s: %v", profile, err)
			continue
		}
		if a.Id() == "" || a.State("object") == nil || len(a.Files()) != 1 || !strings.HasSuffix(a.Files()[0], ".envelope.json") {
			t.Errorf("%s: artifact %q, %v, %q", profile, a.Id(), a.State("object"), a.Files())
		}
		said, err := json.Marshal(ui)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{at.APIKey, at.UserKey} {
			if bytes.Contains(said, []byte(secret)) {
				t.Errorf("%s: the output %s holds a secret", profile, said)
			}
		}
		// Repeating the build creates nothing.
		again, _, err := process(t, c.with(template{"profile": profile, "object": "cos://us-south/images/", "deploy": d}), src)
		if err != nil || again.Id() != a.Id() {
			t.Errorf("%s again: %v, %v", profile, again, err)
		}
		// A new disk is another deployment, even with -force. It needs another name.
		if err := os.Chtimes(src, time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		all := c.with(template{"profile": profile, "object": "cos://us-south/images/", "deploy": d, "packer_force": true})
		if _, _, err := process(t, all, src); err == nil || !strings.Contains(err.Error(), "change the name in deploy") {
			t.Errorf("%s: a new disk: %v", profile, err)
		}
		d["name"], d["state"] = "web2", filepath.Join(dir, "state2")
		if anew, _, err := process(t, all, src); err != nil || anew.Id() == a.Id() {
			t.Errorf("%s: a new deployment: %v, %v", profile, anew, err)
		}
	}
}

func TestSpec(t *testing.T) {
	spec := new(PostProcessor).ConfigSpec()
	for _, name := range []string{"profile", "key_file", "root_key_crn", "object", "deploy"} {
		if spec[name] == nil {
			t.Errorf("HCL does not know %s: go generate ./luksimg", name)
		}
	}
}
