package slurm

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/shard"
)

const (
	shards   = 4
	partSize = 5 << 20
	diskSize = 56<<20 + 512

	accessKey, secretKey = "slurm", "not a secret"
)

// commandDir is the folder of the built command, or "".
var commandDir string

// command builds the command once.
var command = sync.OnceValues(func() (name string, err error) {
	if commandDir, err = os.MkdirTemp("", "luksimg-"); err != nil {
		return "", err
	}
	name = filepath.Join(commandDir, "luksimg")
	if out, err := exec.Command("go", "build", "-o", name, "../../cmd/luksimg").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return name, nil
})

// A site is a cluster with the command, the scripts of examples/slurm, and an S3 server behind a proxy.
type site struct {
	*cluster
	command string
	scripts string
	store   *proxy
	objects string // folder of the bucket
	client  *cos.Client
}

// newSite starts a site. Its working folder has a disk, as disk.raw and disk.qcow2, and the keys
// dek.b64 and volume.key.
func newSite(t *testing.T) *site {
	t.Helper()
	possible(t)
	name, err := command()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{command: name, scripts: abs(t, "../../examples/slurm")}
	endpoint, dir := need.Gateway(t, accessKey, secretKey)
	s.objects = filepath.Join(dir, "images")
	s.store = newProxy(t, endpoint)
	s.cluster = start(t)
	s.must(os.Mkdir(s.objects, 0o700))
	s.client, err = cos.New(cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}})
	s.must(err)
	s.env = append(s.env, "PATH="+filepath.Dir(name)+":"+os.Getenv("PATH"), "LUKSIMG_COS_URL="+s.store.URL, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey)
	s.must(os.WriteFile(s.in("disk.raw"), disk(), 0o600))
	s.run("luksimg", "convert", "--quiet", "--format", "qcow2", "disk.raw", "disk.qcow2")
	s.run("luksimg", "keygen", "--quiet", "dek.b64")
	s.run("luksimg", "keygen", "--quiet", "--raw", "--bytes", "64", "volume.key")
	return s
}

func abs(t *testing.T, name string) string {
	t.Helper()
	name, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// in returns the path of a file in the working folder.
func (s *site) in(name string) string { return filepath.Join(s.work, name) }

// disk returns a disk of zeros with random data in two places.
func disk() []byte {
	b := make([]byte, diskSize)
	r := rand.NewChaCha8([32]byte{21})
	r.Read(b[:13<<20])
	r.Read(b[30<<20 : 50<<20])
	return b
}

// luksFlags are the flags of the plan, and of an encrypt that makes the same image except for the salts
// in the header.
var luksFlags = []string{"--format", "luks1", "--volume-key-file", "volume.key", "--pbkdf-force-iterations", "1000"}

// submitAll submits the array and the finishing job, and returns their IDs.
func (s *site) submitAll(src, dst string) (array, last string) {
	s.t.Helper()
	args := append([]string{src, dst, "web.job", "dek.b64", strconv.Itoa(shards), "--part-size", "5M"}, luksFlags...)
	out := strings.Fields(s.run(filepath.Join(s.scripts, "submit"), args...))
	last = out[len(out)-1]            // Submitted batch job 2
	text := s.job(last)["Dependency"] // afterok:1_*(unfulfilled)
	array, _, _ = strings.Cut(strings.TrimPrefix(text, "afterok:"), "_")
	if _, err := strconv.Atoi(array); err != nil {
		s.t.Fatalf("%q, which depends on %q", out, text)
	}
	return array, last
}

// plan reads the job.
func (s *site) plan() *shard.Job {
	s.t.Helper()
	f, err := os.Open(s.in("web.job"))
	s.must(err)
	defer f.Close()
	j, err := shard.Parse(f)
	s.must(err)
	return j
}

// states returns the number of completed parts and of all parts for each shard.
func (s *site) states() string {
	s.t.Helper()
	cmd := exec.Command(s.command, "shard", "status", "--json", "web.job")
	cmd.Dir, cmd.Env = s.work, s.env
	out, err := cmd.Output()
	s.must(err)
	var r struct{ Shards []shard.Status }
	s.must(json.Unmarshal(out, &r))
	var states []string
	for _, st := range r.Shards {
		states = append(states, fmt.Sprintf("%s %d/%d", st.State, st.Done, st.Parts))
	}
	return strings.Join(states, ", ")
}

// compare compares an image with the result of a plain encrypt with the same header.
func (s *site) compare(image string) {
	s.t.Helper()
	if !filepath.IsAbs(image) {
		image = s.in(image)
	}
	s.run("luksimg", append([]string{"encrypt", "--quiet", "--key-file", "dek.b64", "disk.raw", "plain"}, luksFlags...)...)
	s.run("luksimg", "header", "backup", image, "header")
	s.run("luksimg", "header", "restore", "--force", "plain", "header")
	want, got := sum(s.t, s.in("plain")), sum(s.t, image)
	if got != want {
		s.t.Errorf("%s has SHA-256 %s, want %s, that of a plain encrypt with the same header", image, got, want)
	}
	s.run("luksimg", "verify", "--quiet", "--key-file", "dek.b64", "disk.raw", image)
}

func sum(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestObject makes an object from an image that all nodes can read. One task is requeued while it
// uploads, one runs twice at once, and one comes late.
func TestObject(t *testing.T) {
	s := newSite(t)
	s.run("scontrol", "update", "NodeName=n3", "State=DRAIN", "Reason=late")
	var first int // part of shard 1, the only part that passes the proxy
	s.store.hold(func(r *http.Request) bool {
		n, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
		if err == nil && first == 0 {
			first, _ = s.plan().Shard(1)
		}
		return err == nil && n != first
	})
	array, last := s.submitAll("disk.qcow2", "cos://us-south/images/disk.luks")
	j := s.plan()
	of := func(i int) string { n, _ := j.Shard(i); return fmt.Sprint("PUT part ", n) }
	record := fmt.Sprintf("PUT /images/disk.luks%s/%s-1.json", shard.FolderSuffix, j.ID)
	s.until("three tasks upload", func() bool {
		return s.store.holds(of(0)) == 1 && s.store.holds(of(2)) == 1 && s.store.stores(record) > 0
	})
	s.run("scontrol", "hold", array+"_3")
	s.requeue(array + "_1")
	s.run("scontrol", "update", "NodeName=n3", "State=RESUME")
	twin := s.submit("--array=2", filepath.Join(s.scripts, "shard.sbatch"), "web.job", "dek.b64")
	s.until("two tasks upload the same part", func() bool { return s.store.holds(of(2)) == 2 })
	s.store.hold(nil)
	for _, id := range []string{array + "_0", array + "_1", array + "_2", twin + "_2"} {
		s.await(id, "COMPLETED")
	}
	if n := s.store.stores(of(1)); n != 1 {
		t.Errorf("the part uploaded before the task was killed was uploaded %d times", n)
	}
	if got := s.states(); got != "done 3/3, done 3/3, done 3/3, waiting 0/3" {
		t.Errorf("shards: %s", got)
	}
	if _, err := s.try("luksimg", "shard", "finish", "web.job"); err == nil || !strings.Contains(err.Error(), "exit status 5") || !strings.Contains(err.Error(), "1 of 4 shards is missing: 3") {
		t.Errorf("finish without a shard: %v", err)
	}
	s.run("scontrol", "release", array+"_3")
	s.await(last, "COMPLETED")
	s.compare(filepath.Join(s.objects, "disk.luks"))
	s.onlyObjects("disk.luks")
	// This task comes after finish.
	late := s.submit("--array=0", filepath.Join(s.scripts, "shard.sbatch"), "web.job", "dek.b64")
	s.await(late+"_0", "COMPLETED")
	if out := s.outputs("slurm-" + late + "_0.out"); !strings.Contains(out, "already finished") {
		t.Errorf("a task after finish printed %s", out)
	}
	s.onlyObjects("disk.luks")
}

// onlyObjects checks that the bucket has only these objects, and no uploads, parts or records.
func (s *site) onlyObjects(want ...string) {
	s.t.Helper()
	uploads, err := s.client.Uploads(s.t.Context(), "us-south", "images", "")
	s.must(err)
	if len(uploads) > 0 {
		s.t.Errorf("incomplete uploads: %+v", uploads)
	}
	j := s.plan()
	at := cos.Object{Region: "us-south", Bucket: "images", Key: "disk.luks"}
	if parts, err := s.client.ResumeParts(s.t.Context(), at, j.UploadID, j.Image.FileSize, j.PartSize); !errors.Is(err, fs.ErrNotExist) {
		s.t.Errorf("parts of the upload: %+v, %v", parts, err)
	}
	// The server has a file for each object and for each part.
	if got := filesIn(s.t, s.objects); !slices.Equal(got, want) {
		s.t.Errorf("the server has %q, want %q", got, want)
	}
}

// filesIn lists all files below a folder.
func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, err = filepath.Rel(dir, name)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestFile makes a file that all nodes can write from an object. One task is killed, so Slurm cancels
// the finishing job, and everything is submitted again.
func TestFile(t *testing.T) {
	s := newSite(t)
	s.must(os.Mkdir(s.in("shared"), 0o700))
	s.run("cp", "disk.raw", filepath.Join(s.objects, "disk.raw"))
	// This is the part of the disk that shard 0 reads, except its start.
	s.store.hold(func(r *http.Request) bool {
		_, first, _ := strings.Cut(r.Header.Get("Range"), "bytes=")
		first, _, _ = strings.Cut(first, "-")
		n, err := strconv.Atoi(first)
		return err == nil && r.Method == http.MethodGet && n >= 8<<20 && n < 12<<20
	})
	array, last := s.submitAll("cos://us-south/images/disk.raw", "shared/disk.luks")
	for _, i := range []string{"1", "2", "3"} {
		s.await(array+"_"+i, "COMPLETED")
	}
	s.until("two parts of shard 0 exist", func() bool { return s.states() == "partial 2/3, done 3/3, done 3/3, done 3/3" })
	s.kill(s.job(array + "_0")["JobId"])
	s.await(array+"_0", "FAILED")
	s.await(last, "CANCELLED")
	s.store.hold(nil)
	again, last := s.submitAll("cos://us-south/images/disk.raw", "shared/disk.luks")
	s.await(last, "COMPLETED")
	for i, want := range []string{"1 made, 2 existed", "0 made", "0 made", "0 made"} {
		if out := s.outputs(fmt.Sprintf("slurm-%s_%d.out", again, i)); !strings.Contains(out, want) {
			t.Errorf("shard %d, second run: %s", i, out)
		}
	}
	if got := filesIn(t, s.in("shared")); !slices.Equal(got, []string{"disk.luks"}) {
		t.Errorf("files: %q", got)
	}
	s.compare("shared/disk.luks")
}

// kill kills the command of a job, as the kernel does when memory is short.
func (s *site) kill(id string) {
	s.t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	s.must(err)
	for _, name := range names {
		env, err := os.ReadFile(name)
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "SLURM_JOB_ID="+id) || !strings.Contains(string(env), s.dir) {
			continue
		}
		exe, _ := os.Readlink(filepath.Join(filepath.Dir(name), "exe"))
		if exe != s.command {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		s.must(err)
		s.must(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	s.t.Fatalf("job %s does not run luksimg", id)
}
