package main

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/rpc"

	"github.com/luksimg/luksimg"
)

// started starts the plugin's program as Packer does and connects to it. protobuf selects the encoding of Packer 1.12
// and later.
func started(t *testing.T, program string, protobuf bool) *rpc.Client {
	t.Helper()
	args := []string{"start", "post-processor", plugin.DEFAULT_NAME}
	if protobuf {
		args = append(args, "--protobuf")
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), plugin.MagicCookieKey+"="+plugin.MagicCookieValue, "TMPDIR="+t.TempDir())
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the plugin: %.3000s", log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Split(strings.TrimSpace(line), "|")
	if err != nil || len(fields) != 4 || fields[0] != plugin.APIVersionMajor || fields[1] != plugin.APIVersionMinor {
		t.Fatalf("the plugin prints %q, %v", line, err)
	}
	conn, err := net.Dial(fields[2], fields[3])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client, err := rpc.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	client.UseProto = protobuf
	return client
}

// TestRPC drives the plugin's program over Packer's protocol, without Packer.
func TestRPC(t *testing.T) {
	program := built(t)
	content := bytes.Repeat([]byte("a disk, of 32 bytes many times.\n"), 1<<14)
	for _, protobuf := range []bool{false, true} {
		dir := t.TempDir()
		src := filepath.Join(dir, "disk.raw")
		if err := os.WriteFile(src, content, 0o600); err != nil {
			t.Fatal(err)
		}
		p := started(t, program, protobuf).PostProcessor()
		if p.ConfigSpec()["generate_key"] == nil {
			t.Error("the specification that the plugin sends has no generate_key")
		}
		if err := p.Configure(map[string]any{"generate_keys": "key"}); err == nil || !strings.Contains(err.Error(), "generate_keys") {
			t.Errorf("an unknown option: %v", err)
		}
		keyFile := filepath.Join(dir, "key")
		if err := p.Configure(map[string]any{"generate_key": keyFile}); err != nil {
			t.Fatal(err)
		}
		ui := &packersdk.MockUi{}
		a, keep, must, err := p.PostProcess(t.Context(), ui, &packersdk.MockArtifact{FilesValue: []string{src}})
		if err != nil || keep || must {
			t.Fatalf("keep %v, %v: %v", keep, must, err)
		}
		output := filepath.Join(dir, "disk.luks")
		if files := a.Files(); a.Id() != output || len(files) != 1 || files[0] != output {
			t.Errorf("artifact %s, %q", a.Id(), files)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(output)
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
	}
}
