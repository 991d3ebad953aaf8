//go:build unix

package main

import (
	"context"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/manifest"
)

// TestDevices has every verb write to devices, pipes and links to them. Each must be refused, also with --force, and
// the hint must name "-".
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("pipe", at("to-pipe")),
		os.Symlink("/dev/null", at("null")), os.Symlink("/dev/stdout", at("stdout")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, dir)
	encrypt := slices.Concat([]string{"encrypt", "--force"}, quickLUKS)
	for _, dst := range []string{at("pipe"), at("to-pipe"), at("null"), at("stdout"), "/dev/null", "/dev/stdout", "/dev/fd/1"} {
		mode := func() fs.FileMode {
			fi, err := os.Lstat(dst)
			if err != nil {
				return 0
			}
			return fi.Mode()
		}
		was := mode()
		for _, args := range [][]string{
			slices.Concat(encrypt, []string{"--key-file", key, disk, dst}),
			slices.Concat(encrypt, []string{"--generate-key", at("new.key"), disk, dst}),
			slices.Concat(encrypt, []string{"--key-file", key, "--header", dst, disk, at("x")}),
			slices.Concat(encrypt, []string{"--key-file", key, "--manifest", dst, disk, at("x")}),
			slices.Concat(encrypt, []string{"--generate-key", dst, disk, at("x")}),
			{"decrypt", "--force", "--key-file", key, image, dst},
			{"convert", "--force", disk, dst},
			{"reencrypt", "--force", "--key-file", key, "--generate-key", at("new.key"), image, dst},
			{"header", "backup", "--force", image, dst},
			{"keygen", dst},
			{"keygen", "--kms", "local:" + dst},
			{"key", "add", "--key-file", key, "--generate-key", dst, image},
		} {
			code, out := runIn(t.Context(), args...)
			if code != exit.Failure || !strings.Contains(out, "not a regular file, and will not be replaced") {
				t.Errorf("%q: code %d: %s", args, code, out)
			}
			// Outputs other than DST have their own hint.
			crypt := slices.Contains([]string{"encrypt", "decrypt", "convert", "reencrypt"}, args[0])
			if crypt && args[len(args)-1] == dst && !strings.Contains(out, "hint: to write to a pipe or a device, use - as the name") {
				t.Errorf("%q: the hint does not name -: %s", args, out)
			}
		}
		if mode() != was {
			t.Fatalf("%s changed", dst)
		}
	}
	if after := names(t, dir); !slices.Equal(before, after) {
		t.Errorf("files %q, before %q", after, before)
	}
}

// TestOpeningCancelled uses named pipes without a writer as inputs. A signal must end the wait, and a verb that needs
// seeking must not wait at all.
func TestOpeningCancelled(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(image+manifest.Suffix, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := filepath.Join(dir, "root.key")
	if code, out := runIn(t.Context(), "keygen", "--kms", "local:"+root); code != exit.Done {
		t.Fatal(out)
	}
	x := filepath.Join(dir, "x")
	other := filepath.Join(dir, "other")
	if err := syscall.Mkfifo(other, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envAPIKey, "@"+other)
	t.Setenv(envSLUser, "user")
	t.Setenv(envSLKey, "key")
	for _, args := range [][]string{
		{"encrypt", "--key-file", key, pipe, x},
		{"encrypt", "--key-file", pipe, disk, x},
		{"encrypt", "--passphrase-file", pipe, disk, x},
		{"encrypt", "--key-file", key, "--volume-key-file", pipe, disk, x},
		{"decrypt", "--key-file", pipe, image, x},
		{"decrypt", "--key-file", key, "--header", pipe, image, x},
		{"decrypt", "--key-file", key, pipe, x},
		{"verify", "--key-file", key, pipe, image},
		{"verify", "--key-file", key, disk, pipe},
		{"inspect", pipe},
		{"inspect", image}, // the manifest is a pipe
		{"header", "backup", pipe, x},
		{"header", "restore", image, pipe},
		{"key", "list", pipe},
		{"key", "test", "--key-file", pipe, image},
		{"unwrap", "--envelope", pipe, "--kms", "local:" + root, x},
		{"rewrap", "--envelope", pipe, "--kms", "local:" + root},
		{"audit", "--image", "x", pipe},
		{"token", "add", "--json-file", pipe, image},
		{"download", "cos://us-south/bucket/object", x},
		{"import", "--ibm-api-key-file", pipe, "--os-code", "UBUNTU_22_64", "cos://us-south/bucket/object-0.vhd"},
	} {
		code, out := runIn(ctx, args...)
		atOnce := code == exit.Failure && strings.Contains(out, "pipe can only be read in order, and this needs seeking")
		if code != exit.Cancelled && !atOnce {
			t.Errorf("%q: code %d: %s", args, code, out)
		}
		if _, err := os.Stat(x); err == nil {
			t.Fatalf("%q: created a file", args)
		}
	}
	// Unblock the goroutines that still wait.
	for _, name := range []string{pipe, other, image + manifest.Suffix} {
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
			f.Close()
		}
	}
}

// TestEndSignals checks that all signals that end a session end a job in an orderly way, except those that nohup or a
// background shell ignores.
func TestEndSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !slices.Contains(endSignals(), s) && !signal.Ignored(s) {
			t.Errorf("%v does not end a job", s)
		}
	}
	signal.Ignore(syscall.SIGHUP)
	// Reset does not undo Ignore: a process that is started later would ignore the signal too.
	defer signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	if slices.Contains(endSignals(), os.Signal(syscall.SIGHUP)) {
		t.Error("an ignored SIGHUP ends a job")
	}
}
