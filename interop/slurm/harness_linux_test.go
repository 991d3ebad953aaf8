package slurm

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
)

// nodes is the number of nodes of a cluster: n0, n1 and so on. A node runs one task at a time.
const nodes = 4

// A cluster is Slurm on the loopback interface, with its own ports, keys and folders.
type cluster struct {
	t    testing.TB
	dir  string
	work string   // working folder of jobs, with their output
	env  []string // environment of the commands, which jobs inherit
}

// configuration is the fixed part of slurm.conf. configure appends hosts, ports and folders.
const configuration = `ClusterName=luksimg
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
MailProg=/bin/true
KillWait=1
`

// possible skips the test if it cannot start a cluster.
func possible(t testing.TB) {
	t.Helper()
	need.Judge(t, "munged", "slurmctld", "slurmd", "sbatch", "scontrol")
	if os.Getuid() != 0 {
		need.Lack(t, "Slurm needs root")
	}
}

// start starts a cluster, which stops at the end of the test.
func start(t testing.TB) *cluster {
	t.Helper()
	possible(t)
	dir, err := os.MkdirTemp("", "luksimg-slurm-") // paths of sockets must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: dir, work: filepath.Join(dir, "work")}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SLURM") && !strings.HasPrefix(e, "SBATCH") && !strings.HasPrefix(e, "SCANCEL") {
			c.env = append(c.env, e)
		}
	}
	c.env = append(c.env, "SLURM_CONF="+c.path("slurm.conf"))
	run := c.keeper()
	c.configure()
	socket := c.path("munge.socket")
	run("munged", "--foreground", "--key-file="+c.path("munge.key"), "--socket="+socket, "--pid-file="+c.path("munge.pid"),
		"--log-file="+c.path("munge.log"), "--seed-file="+c.path("munge.seed"))
	c.until("munged listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	run("slurmctld", "-D", "-c")
	for i := range nodes {
		run("slurmd", "-D", "-c", "-N", fmt.Sprintf("n%d", i))
	}
	c.until("all nodes are idle", func() bool {
		out, err := c.try("sinfo", "--noheader", "--Node", "--format=%T")
		return err == nil && strings.Count(out, "idle\n") == nodes
	})
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

// keeper starts the keeper, and returns a function that starts a daemon in it.
func (c *cluster) keeper() (run func(name string, args ...string)) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(slices.Clip(c.env), keeperFolder+"="+c.dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.report()
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("the keeper: %v", err)
		}
	})
	return func(name string, args ...string) {
		path, err := need.Path(name)
		if err == nil {
			err = json.NewEncoder(in).Encode(append([]string{path}, args...))
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// configure writes the key of munge and the configuration, and creates the folders.
func (c *cluster) configure() {
	c.t.Helper()
	host, err := os.Hostname()
	if err != nil {
		c.t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	ports := freePorts(c.t, nodes+1)
	var b strings.Builder
	b.WriteString(configuration)
	fmt.Fprintf(&b, "SlurmctldHost=%s(127.0.0.1)\nSlurmctldPort=%d\nSlurmctldPidFile=%s\n", host, ports[nodes], c.path("ctld.pid"))
	fmt.Fprintf(&b, "AuthInfo=socket=%s\nStateSaveLocation=%s\n", c.path("munge.socket"), c.path("state"))
	fmt.Fprintf(&b, "SlurmdSpoolDir=%s\nSlurmdPidFile=%s\n", c.path("%n"), c.path("%n.pid"))
	for i := range nodes {
		fmt.Fprintf(&b, "NodeName=n%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%d CPUs=4 RealMemory=4096\n", i, host, ports[i])
		c.must(os.Mkdir(c.path(fmt.Sprintf("n%d", i)), 0o755))
	}
	b.WriteString("PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n")
	c.must(os.Mkdir(c.path("state"), 0o700))
	c.must(os.Mkdir(c.work, 0o700))
	c.must(os.WriteFile(c.path("slurm.conf"), []byte(b.String()), 0o644))
	c.must(os.WriteFile(c.path("munge.key"), []byte(strings.Repeat("not a secret", 10)), 0o600))
	c.must(os.Chmod(c.dir, 0o711)) // munge requires that its socket is reachable
}

// freePorts returns unused ports of 127.0.0.1.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // close them together, so that the ports differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// report logs the output of the daemons and the jobs.
func (c *cluster) report() {
	names, _ := filepath.Glob(filepath.Join(c.work, "slurm-*.out"))
	for _, name := range append(names, c.path("log")) {
		text, _ := os.ReadFile(name)
		c.t.Logf("%s:\n%s", name, text[max(0, len(text)-5000):])
	}
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// try runs a command in the working folder and returns its output.
func (c *cluster) try(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = c.work, c.env
	cmd.Path, cmd.Err = c.look(name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return string(out), err
}

// look finds a program on the PATH of the commands.
func (c *cluster) look(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, e := range slices.Backward(c.env) {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			for _, dir := range filepath.SplitList(path) {
				if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
					return p, nil
				}
			}
			break
		}
	}
	return need.Path(name)
}

// run is like try for a command that must succeed. It trims the output.
func (c *cluster) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.try(name, args...)
	c.must(err)
	return strings.TrimSpace(out)
}

// until waits until ok returns true. It waits for minutes, because the machine can be busy.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// job returns the properties that scontrol shows for a job or a task of an array: JobState, Restarts
// and so on.
func (c *cluster) job(id string) map[string]string {
	c.t.Helper()
	fields := map[string]string{}
	for _, f := range strings.Fields(c.run("scontrol", "--oneliner", "show", "job", id)) {
		if name, value, ok := strings.Cut(f, "="); ok {
			fields[name] = value
		}
	}
	return fields
}

// await waits until a job reaches this state, and fails if the job ends in another.
func (c *cluster) await(id, state string) {
	c.t.Helper()
	c.until("job "+id+" is "+state, func() bool {
		switch now := c.job(id)["JobState"]; now {
		case state:
			return true
		case "COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT", "BOOT_FAIL":
			c.t.Fatalf("job %s is %s, want %s", id, now, state)
		}
		return false
	})
}

// requeue kills a running task, requeues it, and makes it start soon. By default Slurm waits for two
// minutes, because credentials of the killed task are revoked with a resolution of seconds.
func (c *cluster) requeue(id string) {
	c.t.Helper()
	before := c.job(id)["Restarts"]
	c.run("scontrol", "requeue", id)
	c.until("job "+id+" waits", func() bool {
		j := c.job(id)
		return j["Restarts"] != before && j["JobState"] == "PENDING"
	})
	time.Sleep(2 * time.Second)
	c.run("scontrol", "update", "JobId="+id, "StartTime=now")
	c.until("job "+id+" starts again", func() bool { return c.job(id)["JobState"] != "PENDING" })
}

// submit submits a script and returns the ID of the job.
func (c *cluster) submit(args ...string) string {
	c.t.Helper()
	return c.run("sbatch", append([]string{"--parsable"}, args...)...)
}

// outputs returns the output of the jobs whose files match the pattern.
func (c *cluster) outputs(pattern string) string {
	c.t.Helper()
	names, err := filepath.Glob(filepath.Join(c.work, pattern))
	c.must(err)
	var all strings.Builder
	for _, name := range names {
		f, err := os.Open(name)
		c.must(err)
		_, err = io.Copy(&all, f)
		f.Close()
		c.must(err)
	}
	return all.String()
}
