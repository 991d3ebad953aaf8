package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/internal/need"
)

// built builds the plugin and returns its path.
func built(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packer-plugin-luksimg")
	// By path, Packer installs only plugins of release versions.
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.prerelease=", "-o", name, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return name
}

func TestDescribe(t *testing.T) {
	out, err := exec.Command(built(t), "describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"post_processors":["-packer-default-plugin-name-"]`, `"version":"0.1.0"`} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s, want %s in it", out, want)
		}
	}
}

// TestPacker runs Packer itself: it validates the examples, and builds the one that needs no cloud.
func TestPacker(t *testing.T) {
	packer, err := filepath.Abs("../.cache/bin/packer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(packer); err != nil {
		if packer, err = exec.LookPath("packer"); err != nil {
			need.Lack(t, "packer is not there: scripts/packer.sh builds it")
		}
	}
	dir := t.TempDir()
	content := bytes.Repeat([]byte("the disk that a builder made....\n"), 1<<15)
	content = content[:len(content)/512*512]
	if err := os.WriteFile(filepath.Join(dir, "disk.raw"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(args ...string) (string, error) {
		cmd := exec.Command(packer, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "PACKER_CONFIG_DIR="+dir, "PACKER_PLUGIN_PATH="+filepath.Join(dir, "plugins"),
			"CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := try(args...)
		if err != nil {
			t.Fatalf("packer %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	run("plugins", "install", "--path", built(t), "github.com/luksimg/luksimg")
	example, err := filepath.Abs("../examples/packer/local.pkr.hcl")
	if err != nil {
		t.Fatal(err)
	}
	run("validate", "-var", "disk=disk.raw", example)
	said := run("build", "-var", "disk=disk.raw", example)
	if !strings.Contains(said, "encrypted image disk.luks") || !strings.Contains(said, "verified 100 %") {
		t.Error(said)
	}
	key, err := os.ReadFile(filepath.Join(dir, "disk.key"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(said, string(key)) {
		t.Error("the output of Packer holds the key")
	}
	f, err := os.Open(filepath.Join(dir, "disk.luks"))
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
	got := make([]byte, len(content))
	if _, err := img.ReadAt(got, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the data in the image differs: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "copy.raw")); err == nil {
		t.Error("the unencrypted disk was not removed")
	}
	// The key file exists now, so the next build ends before it makes a disk.
	if said, err := try("build", "-var", "disk=disk.raw", example); err == nil || !strings.Contains(said, "create disk.key: file already exists") || strings.Contains(said, "copy.raw") {
		t.Errorf("%v\n%s", err, said)
	}
	testSandbox(t, filepath.Join(dir, "disk.raw"), try)
	// Without the QEMU plugin, only the post-processors in classic.pkr.hcl can be validated.
	text, err := os.ReadFile("../examples/packer/classic.pkr.hcl")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "  post-processors {")
	if !ok {
		t.Fatal("classic.pkr.hcl has no post-processors")
	}
	template := `variable "root_key_crn" { type = string }
variable "bucket" { type = string }
source "null" "web" { communicator = "none" }
build {
  sources = ["source.null.web"]
  post-processors {` + block
	name := filepath.Join(dir, "classic.pkr.hcl")
	if err := os.WriteFile(name, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SL_USERNAME", "user")
	t.Setenv("SL_API_KEY", "key of the user")
	run("validate", "-var", "root_key_crn=crn", "-var", "bucket=images", name)
}

// testSandbox deploys to the sandbox. The first build fails, and keeps the disk. The next one continues it.
func testSandbox(t *testing.T, disk string, try func(args ...string) (string, error)) {
	t.Helper()
	cloud, err := sandbox.Start(t.Context(), sandbox.Options{Authorize: true, StepTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	at := cloud.Settings()
	for name, value := range map[string]string{
		"IBMCLOUD_API_KEY": at.APIKey, "SL_USERNAME": at.User, "SL_API_KEY": at.UserKey, "LUKSIMG_BUCKET": "images", "LUKSIMG_ROOT_KEY_CRN": at.RootKey,
		"IBMCLOUD_IAM_URL": at.IAM, "LUKSIMG_KMS_URL": at.KMS, "LUKSIMG_COS_URL": at.COS, "SL_ENDPOINT_URL": at.SoftLayer,
	} {
		t.Setenv(name, value)
	}
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mbr := make([]byte, 512) // one partition of type 0x83: 1000 sectors from sector 1
	mbr[450], mbr[454], mbr[458], mbr[459], mbr[510], mbr[511] = 0x83, 1, 1000&0xff, 1000>>8, 0x55, 0xaa
	if _, err := f.WriteAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	example, err := filepath.Abs("../examples/packer/sandbox.pkr.hcl")
	if err != nil {
		t.Fatal(err)
	}
	deploy := []string{"build", "-var", "disk=disk.raw", example}
	if said, err := try(deploy...); err == nil || !strings.Contains(said, "the next build continues from web.deploy.json") {
		t.Fatalf("without a bucket: %v\n%s", err, said)
	}
	if _, err := os.Stat(disk); err != nil {
		t.Errorf("a failed deployment: %v", err)
	}
	if err := cloud.Objects().CreateBucket(at.Account, "images", "us-south-standard"); err != nil {
		t.Fatal(err)
	}
	if said, err := try(deploy...); err != nil || !strings.Contains(said, "deploy: continuing web.deploy.json") || !strings.Contains(said, "template ") {
		t.Errorf("%v\n%s", err, said)
	}
	if _, err := os.Stat(disk); err != nil {
		t.Errorf("with keep_input_artifact: %v", err)
	}
}
