package engines

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

// luksimg builds the command once, and returns its path.
var luksimg = sync.OnceValues(func() (string, error) {
	name := filepath.Join(folder, "luksimg")
	c := exec.Command("go", "build", "-o", name, "./cmd/luksimg")
	c.Dir = "../.."
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

// folder holds files that several tests share.
var folder string

func TestMain(m *testing.M) {
	if name := os.Getenv(envCalls); name != "" {
		os.Exit(called(name))
	}
	var err error
	if folder, err = os.MkdirTemp("", "engines"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// A cluster is a folder and a cloud in which the commands of an example run as in its engine.
type cluster struct {
	t    *testing.T
	dir  string // has the disk and a folder for each volume
	env  []string
	root string // CRN of a root key
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s, err := sandbox.Start(context.Background(), sandbox.Options{Bucket: "images"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := &cluster{t: t, dir: t.TempDir(), root: s.Settings().RootKey}
	c.env = []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "IBMCLOUD_API_KEY=" + s.Settings().APIKey, "IBMCLOUD_IAM_URL=" + s.Settings().IAM,
		"LUKSIMG_KMS_URL=" + s.Settings().KMS, "LUKSIMG_COS_URL=" + s.Settings().COS}
	disk := make([]byte, 24<<20)
	rand.NewChaCha8([32]byte{1}).Read(disk[4<<20 : 20<<20])
	for name, b := range map[string][]byte{"disk.raw": disk, "key/passphrase": []byte("a passphrase of the example")} {
		name = filepath.Join(c.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.must(nil, "upload", "-q", "disk.raw", "cos://us-south/images/disk.raw")
	return c
}

// run runs luksimg with additional environment variables, and returns its output and exit code.
func (c *cluster) run(env []string, args ...string) (string, int) {
	c.t.Helper()
	name, err := luksimg()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, append(c.env[:len(c.env):len(c.env)], env...), &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (c *cluster) must(env []string, args ...string) string {
	c.t.Helper()
	out, code := c.run(env, args...)
	if code != 0 {
		c.t.Fatalf("luksimg %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// An example holds the commands of an example's files.
type example struct {
	run, finish []string
	key         []string          // key flags of commands that need the key
	mounts      map[string]string // folder in a shard's container: name of the volume
	index       func(int) []string
}

// here returns the command with the paths of the cluster's folder.
func (c *cluster) here(args []string, mounts map[string]string) (local []string) {
	for _, a := range args {
		for path, volume := range mounts {
			if rest, ok := strings.CutPrefix(a, path+"/"); ok {
				a = filepath.Join(volume, rest)
			}
		}
		local = append(local, a)
	}
	return local
}

// array plans a job of four shards, and runs them with the commands of an example. Each shard gets its
// number in the variable of the engine. One shard runs twice, and the last one only after finishing was
// tried. The image must match the disk.
func (c *cluster) array(e example) {
	c.t.Helper()
	const object = "cos://us-south/images/disk.luks"
	c.must(nil, append([]string{"shard", "plan", "cos://us-south/images/disk.raw", object, "cos://us-south/images/disk.job", "--shards", "4", "--part-size", "5M"}, e.key...)...)
	for _, i := range []int{2, 0, 1, 0} {
		c.must(e.index(i), c.here(e.run, e.mounts)...)
	}
	if out, code := c.run(nil, e.finish...); code != 5 {
		c.t.Errorf("finished without shard 3: exit code %d\n%s", code, out)
	}
	c.must(e.index(3), c.here(e.run, e.mounts)...)
	c.must(nil, e.finish...)
	c.must(nil, append([]string{"verify", "disk.raw", object}, e.key...)...)
}

// variable returns a function that returns an environment with the number of a task.
func variable(names ...string) func(int) []string {
	return func(i int) (env []string) {
		for _, n := range names {
			env = append(env, fmt.Sprintf("%s=%d", n, i))
		}
		return env
	}
}
