package slurm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Slurm's daemons and their tasks must not outlive the test, however it ends. So the test does not
// start them itself: the keeper does. The keeper is this program in a separate session, and the parent
// of all orphans below it. When its standard input closes, even because the test was killed, it ends
// all processes below it and removes the folder of the cluster.

// keeperFolder is the environment variable that makes this program a keeper. Its value is the folder
// that the keeper removes.
const keeperFolder = "LUKSIMG_SLURM_KEEPER"

// victimFolder makes this program the test that TestKilled kills.
const victimFolder = "LUKSIMG_SLURM_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(keeperFolder); dir != "" {
		runtime.LockOSThread() // the daemons get a signal when their parent thread ends
		if err := keep(dir); err != nil {
			fmt.Fprintln(os.Stderr, "keeper:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if commandDir != "" {
		os.RemoveAll(commandDir)
	}
	os.Exit(code)
}

// keep starts the commands that it reads, each an array of strings, until its input ends. It returns
// when no process is left.
func keep(dir string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	var k keeper
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			k.reap()
		}
	}()
	var failed error
	for in := json.NewDecoder(os.Stdin); failed == nil; {
		var argv []string
		if in.Decode(&argv) != nil {
			break
		}
		failed = k.start(filepath.Join(dir, "log"), argv)
	}
	k.end()
	return errors.Join(failed, os.RemoveAll(dir))
}

// A keeper holds the running daemons in the order of their start.
type keeper struct {
	mu      sync.Mutex
	daemons []int
	none    bool // no child is left
}

func (k *keeper) start(log string, argv []string) error {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Dir: filepath.Dir(log), Env: os.Environ(), Files: []uintptr{0, out.Fd(), out.Fd()},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	k.daemons = append(k.daemons, pid)
	return nil
}

// reap waits for all children that have ended.
func (k *keeper) reap() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		k.none = err == unix.ECHILD
		if pid <= 0 {
			return
		}
		for i, daemon := range k.daemons {
			if daemon == pid {
				k.daemons = append(k.daemons[:i], k.daemons[i+1:]...)
				break
			}
		}
	}
}

// end ends the daemons, the last one first, and kills the rest.
func (k *keeper) end() {
	running := func() (pid int, ok bool) {
		k.reap()
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.daemons) == 0 {
			return 0, false
		}
		return k.daemons[len(k.daemons)-1], true
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		pid, ok := running()
		if !ok {
			break
		}
		unix.Kill(pid, unix.SIGTERM)
	}
	// The children of killed processes become children of the keeper.
	for {
		k.reap()
		k.mu.Lock()
		none := k.none
		k.mu.Unlock()
		if none {
			return
		}
		for _, pid := range childrenOf(os.Getpid()) {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// childrenOf lists the child processes of a process.
func childrenOf(parent int) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the process has ended
		}
		// 4711 (a name, with any character) S parent ...
		_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		f := strings.Fields(rest)
		if len(f) < 2 || f[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
