package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// startServe runs serve until stop is called. stop returns the exit code and the messages. ready reads the result,
// and fails if there is none.
func startServe(t *testing.T, ready func(io.Reader) error, args ...string) (stop func() (int, string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, w := io.Pipe()
	var told bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"serve"}, args...), w, &told)
		w.Close()
		ended <- code
	}()
	if err := ready(r); err != nil {
		t.Fatalf("%v: exit code %d\n%s", err, <-ended, &told)
	}
	go io.Copy(io.Discard, r)
	return func() (int, string) {
		cancel()
		return <-ended, told.String()
	}
}

// serving is [startServe] for a server whose result is one line.
func serving(t *testing.T, args ...string) (line string, stop func() (int, string)) {
	t.Helper()
	stop = startServe(t, func(r io.Reader) (err error) {
		line, err = bufio.NewReader(r).ReadString('\n')
		return err
	}, args...)
	return strings.TrimSpace(line), stop
}

// servingJSON is [startServe] for a server whose result is JSON.
func servingJSON(t *testing.T, args ...string) (result serveResult, stop func() (int, string)) {
	t.Helper()
	stop = startServe(t, func(r io.Reader) error { return json.NewDecoder(r).Decode(&result) }, append([]string{"--json"}, args...)...)
	return result, stop
}

// greeting checks that an NBD server answers.
func greeting(t *testing.T, network, address string) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 16)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "NBDMAGICIHAVEOPT" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	for name, args := range map[string][]string{
		"LUKS":           {"--key-file", key, image},
		"LUKS, writable": {"--rw", "--key-file", key, image},
		"raw":            {disk},
		"raw, writable":  {"--rw", disk},
		"encrypted":      {"--encrypt", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", key, disk},
	} {
		t.Run(name, func(t *testing.T) {
			uri, stop := serving(t, args...)
			u, err := url.Parse(uri)
			if err != nil || u.Scheme != "nbd+unix" {
				t.Fatal(uri, err)
			}
			socket := u.Query().Get("socket")
			greeting(t, "unix", socket)
			for file, want := range map[string]fs.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
				fi, err := os.Stat(file)
				if err != nil || fi.Mode().Perm() != want {
					t.Errorf("%s: mode %v, %v", file, fi.Mode(), err)
				}
			}
			if code, told := stop(); code != exit.Done || strings.Contains(told, "error") {
				t.Errorf("exit code %d\n%s", code, told)
			}
			if _, err := os.Stat(filepath.Dir(socket)); err == nil {
				t.Error("the folder of the socket remains")
			}
		})
	}
}

// TestServeLocked checks that an image has only one writer.
func TestServeLocked(t *testing.T) {
	key, _, image := encryptedDisk(t, t.TempDir())
	_, stop := serving(t, "--rw", "--key-file", key, image)
	defer stop()
	for _, args := range [][]string{{"serve", "--rw", "--key-file", key, image}, {"key", "add", "--key-file", key, "--new-key-file", key, image}} {
		if code, out := runIn(t.Context(), args...); code != exit.Failure || !strings.Contains(out, "another process is changing") {
			t.Errorf("%s: exit code %d\n%s", args[0], code, out)
		}
	}
}

func TestServeListen(t *testing.T) {
	dir := t.TempDir()
	_, disk, _ := encryptedDisk(t, dir)
	line, stop := serving(t, "--listen", "127.0.0.1:0", disk)
	u, err := url.Parse(line)
	if err != nil || u.Scheme != "nbd" {
		t.Fatal(line, err)
	}
	greeting(t, "tcp", u.Host)
	if code, told := stop(); code != exit.Done {
		t.Errorf("exit code %d\n%s", code, told)
	}
	socket := filepath.Join(dir, "a socket&more")
	line, stop = serving(t, "--socket", socket, disk)
	u, err = url.Parse(line)
	if err != nil || u.Query().Get("socket") != socket {
		t.Fatal(line, err)
	}
	greeting(t, "unix", socket)
	// A leading @ must not make an abstract socket, which every user could open.
	t.Chdir(dir)
	line, stopAt := serving(t, "--socket", "@abstract", disk)
	if fi, err := os.Stat("@abstract"); err != nil || fi.Mode().Perm() != 0o600 || !strings.HasSuffix(line, "/%40abstract") {
		t.Errorf("%s: %v, %v", line, fi, err)
	}
	stopAt()
	if code, out := runIn(t.Context(), "serve", "--socket", strings.Repeat("x", 120), disk); code != exit.Failure || !strings.Contains(out, "shorter") {
		t.Errorf("a long name: exit code %d\n%s", code, out)
	}
	code, out := runIn(t.Context(), "serve", "--socket", socket, disk)
	if code != exit.Failure || !strings.Contains(out, "exist") || !strings.Contains(out, "remove it") || strings.Contains(out, "--force") {
		t.Errorf("an existing socket: exit code %d\n%s", code, out)
	}
	greeting(t, "unix", socket) // the existing socket was not touched
	stop()
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket remains")
	}
}

// TestServePartition writes to partitions. The data that a guest writes must not change the format.
func TestServePartition(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	vhd := filepath.Join(dir, "disk.vhd")
	if code, out := runIn(t.Context(), "convert", "--format", "vhd", disk, vhd); code != exit.Done {
		t.Fatal(out)
	}
	for name, format := range map[string]string{disk: "raw", vhd: "raw", image: "luks1"} {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole := filepath.Join(dir, "whole")
		if err := os.WriteFile(whole, partitioned("gpt", part), 0o600); err != nil {
			t.Fatal(err)
		}
		got, stop := servingJSON(t, "--rw", "--partition", "2", "--key-file", key, whole)
		if code, told := stop(); code != exit.Done || got.Format != format || got.ReadOnly {
			t.Errorf("%s: exit code %d, %+v\n%s", name, code, got, told)
		}
	}
}

func TestServeJSON(t *testing.T) {
	_, disk, _ := encryptedDisk(t, t.TempDir())
	got, stop := servingJSON(t, disk)
	defer stop()
	if got.Size != 20480 || got.Format != "raw" || !got.ReadOnly || !strings.HasPrefix(got.URI, "nbd+unix:///?socket=/") {
		t.Errorf("%+v", got)
	}
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	vdi := filepath.Join(dir, "disk.vhd")
	if code, out := runIn(t.Context(), "convert", "--format", "vhd", disk, vdi); code != exit.Done {
		t.Fatal(out)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"other machines can reach", []string{"--listen", "0.0.0.0:0", disk}},
		{"other machines can reach", []string{"--listen", ":0", disk}},
		{"exclude each other", []string{"--listen", "127.0.0.1:0", "--socket", "s", disk}},
		{"server-cert.pem", []string{"--listen", "0.0.0.0:0", "--tls-certificates", dir, disk}},
		{"--tls-verify-peer needs", []string{"--tls-verify-peer=false", disk}},
		{"only read", []string{"--rw", vdi}},
		{"read-only", []string{"--rw", "--encrypt", "--key-file", key, disk}},
		{"already encrypted", []string{"--encrypt", "--key-file", key, image}},
		{"needs --encrypt", []string{"--cipher", "aes-xts-plain64", disk}},
		{"needs a plain one", []string{"--encrypt", "--key-slot", "1", "--key-file", key, disk}},
		{"serves luks1 or luks2", []string{"--encrypt", "--format", "qcow2", "--key-file", "none", disk}},
		{"serves luks1 or luks2", []string{"--encrypt", "--format", "vhd", "--key-file", "none", disk}},
	} {
		code, out := runIn(t.Context(), slices.Concat([]string{"serve"}, c.args)...)
		if code != exit.Failure || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit code %d\n%s", c.args, code, out)
		}
	}
}
