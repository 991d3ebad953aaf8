package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/shard"
)

// TestShardGateway makes images of all formats by shards, in files and in versitygw. One task is stopped and run
// again, one runs twice concurrently, and one runs late. The images must equal those of one process.
func TestShardGateway(t *testing.T) {
	endpoint, data := need.Gateway(t, "shard", "shard-secret")
	if err := os.Mkdir(filepath.Join(data, "images"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"LUKSIMG_COS_URL": endpoint, "COS_HMAC_ACCESS_KEY_ID": "shard", "COS_HMAC_SECRET_ACCESS_KEY": "shard-secret", "IBMCLOUD_API_KEY": ""} {
		t.Setenv(name, value)
	}
	client, err := cos.New(cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: "shard", SecretAccessKey: []byte("shard-secret")}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	disk := imagetest.Noise(22<<20+512, 4)
	clear(disk[4<<20 : 9<<20])
	text := []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	raw := []byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQR")
	for name, b := range map[string][]byte{"disk.raw": disk, "text": text, "raw": raw} {
		if err := os.WriteFile(at(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	quick := func(ctx context.Context, args ...string) int {
		var errs bytes.Buffer
		code := run(ctx, append([]string{"shard"}, args...), io.Discard, &errs)
		if code != exit.Done && ctx.Err() == nil {
			t.Errorf("%q: exit code %d: %s", args, code, errs.String())
		}
		return code
	}
	for _, format := range []string{"luks1", "luks2", "qcow2", "vhd", "fixed"} {
		key, flags := "text", []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
		switch format {
		case "vhd":
			key, flags = "raw", nil
		case "fixed":
			key, flags = "", []string{"--fixed"}
		}
		args := append([]string{"plan", "--format", format, "--shards", "3", "--part-size", "5M"}, flags...)
		if format == "fixed" {
			args[2] = "vhd"
		}
		var give []string // flags for the key
		if key != "" {
			give = []string{"--key-file", at(key)}
		}
		for _, dst := range []string{at(format), "cos://us-south/images/" + format} {
			ctx, job := t.Context(), at(fmt.Sprintf("job-%s-%t", format, isCOS(dst)))
			quick(ctx, slices.Concat(args, give, []string{at("disk.raw"), dst, job})...)
			task := func(ctx context.Context, i string) int {
				return quick(ctx, slices.Concat([]string{"run", "--shard", i, job}, give)...)
			}
			stopped, stop := context.WithCancel(ctx)
			stop()
			if code := task(stopped, "0"); code != exit.Resumable {
				t.Errorf("a task that was stopped: exit code %d", code)
			}
			var wg sync.WaitGroup
			for _, i := range []string{"0", "1", "1", "2"} {
				wg.Go(func() { task(ctx, i) })
			}
			wg.Wait()
			quick(ctx, "finish", "--verify", job)
			task(ctx, "2")
			file := dst
			if isCOS(dst) {
				file = filepath.Join(data, "images", format)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want := wholeJob(t, job, disk, map[string][]byte{"text": text, "raw": raw}[key]); sha256.Sum256(got) != sha256.Sum256(want) {
				t.Errorf("%s: the image of the shards differs from that of one process", dst)
			}
			quick(ctx, "abort", job)
			if _, err := os.Stat(file); err != nil {
				t.Errorf("the image: %v", err)
			}
		}
		o, err := cos.ParseURI("cos://us-south/images/" + format)
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := client.Unfinished(t.Context(), o); err != nil || len(ids) > 0 {
			t.Errorf("%s: %d uploads are left, %v", format, len(ids), err)
		}
		if all, err := filepath.Glob(filepath.Join(data, "images", format+shard.FolderSuffix, "*")); err != nil || len(all) > 0 {
			t.Errorf("records remain: %q, %v", all, err)
		}
	}
}

// wholeJob returns the image of a job, made in one process.
func wholeJob(t *testing.T, name string, disk, key []byte) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j, err := shard.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := j.Image.Build(t.Context(), bytes.NewReader(disk), key, luksimg.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := make([]byte, b.Size())
	if err := b.Fill(t.Context(), p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}
