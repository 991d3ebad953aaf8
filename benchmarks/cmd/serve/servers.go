package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// passphrase is the passphrase of the LUKS image. It protects nothing.
const passphrase = "benchmark"

// jobs makes the images and starts all servers. The caller stops the servers of the first job, even
// after an error.
func (b *bench) jobs() ([]job, error) {
	in := func(name string) string { return filepath.Join(b.dir, name) }
	if err := b.images(in); err != nil {
		return nil, err
	}
	secret := []string{"--object", "secret,id=key,data=" + passphrase}
	luks, qcow2 := in("luks1"), in("qcow2")
	ours := func(socket string, args ...string) []string {
		return append([]string{b.luksimg, "serve", "-q", "--socket", socket}, args...)
	}
	qemu := func(socket string, args ...string) []string {
		return append([]string{"qemu-nbd", "-t", "-r", "-e", "16", "-k", socket}, args...)
	}
	nbdkit := func(socket string) []string {
		return []string{"nbdkit", "-f", "-r", "-U", socket, "--filter=luks", "file", "file=" + luks, "passphrase=" + passphrase}
	}
	onLUKS := func(socket string) []string {
		return qemu(socket, append(secret, "--image-opts", "driver=luks,key-secret=key,file.filename="+luks)...)
	}
	whole := func(float64) float64 { return float64(b.size) }
	timed := func(rate float64) float64 { return rate * float64(b.seconds) }
	jobs := []job{
		{name: "copy-luks1", unit: "MB/s", use: b.copyAll, work: whole},
		{name: "random-luks1", unit: "reads/s", use: b.random, work: timed},
		{name: "copy-qcow2", unit: "MB/s", use: b.copyAll, work: whole},
	}
	for i := range jobs {
		j := &jobs[i]
		socket := func(name string) string { return in(fmt.Sprintf("%s-%d", name, i)) }
		servers := [][]string{ours(socket("luksimg"), "--key-file", in("key"), luks), nbdkit(socket("nbdkit")), onLUKS(socket("qemu-nbd"))}
		if j.name == "copy-qcow2" {
			servers = [][]string{ours(socket("luksimg"), qcow2), qemu(socket("qemu-nbd"), "-f", "qcow2", qcow2)}
		}
		for _, args := range servers {
			name := filepath.Base(args[0])
			if args[0] == b.luksimg {
				name = "luksimg" // whatever its path
			}
			s := &server{name: name, uri: "nbd+unix:///?socket=" + socket(name), cmd: exec.CommandContext(b.ctx, args[0], args[1:]...)}
			var errs bytes.Buffer
			s.cmd.Stderr = &errs
			if err := s.cmd.Start(); err != nil {
				return jobs, err
			}
			j.servers = append(j.servers, s)
			if err := wait(socket(name)); err != nil {
				return jobs, fmt.Errorf("%s: %w\n%s", name, err, &errs)
			}
		}
	}
	return jobs, nil
}

// images makes a LUKS1 image of random data, and a compressed qcow2 image of random data and text in
// turns.
func (b *bench) images(in func(string) string) error {
	rnd := rand.NewChaCha8([32]byte{1})
	for name, content := range map[string]func([]byte){"noise": func(p []byte) { rnd.Read(p) }, "mixed": func(p []byte) {
		rnd.Read(p[:len(p)/2])
		for i := len(p) / 2; i < len(p); i++ {
			p[i] = "the disk of a server has text in it, and this is some "[rnd.Uint64()%54]
		}
	}} {
		f, err := os.Create(in(name))
		if err != nil {
			return err
		}
		w := bufio.NewWriterSize(f, 1<<20)
		p := make([]byte, 256<<10)
		for at := int64(0); at < b.size; at += int64(len(p)) {
			content(p)
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		f.Close()
	}
	if err := os.WriteFile(in("key"), []byte(passphrase), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{b.luksimg, "encrypt", "-q", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", in("key"), in("noise"), in("luks1")},
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-W", "-m", "16", in("mixed"), in("qcow2")},
	} {
		if out, err := exec.CommandContext(b.ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	os.Remove(in("noise"))
	return os.Remove(in("mixed"))
}

// wait waits until a socket exists.
func wait(name string) error {
	for range 1000 {
		if _, err := os.Stat(name); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("no socket %s", name)
}

func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM) // the server may ignore an interrupt
	s.cmd.Wait()
}

// proc returns the content of a file in the /proc folder of the process.
func (s *server) proc(file string) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(f)
	return string(b)
}

// cpu returns the CPU time of the server in seconds.
func (s *server) cpu() float64 {
	_, rest, _ := strings.Cut(s.proc("stat"), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100 // Linux reports ticks of 1/100 s
}

// peak returns the peak memory of the server in bytes.
func (s *server) peak() int64 {
	_, rest, _ := strings.Cut(s.proc("status"), "VmHWM:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(f[0], 10, 64)
	return kib << 10
}
