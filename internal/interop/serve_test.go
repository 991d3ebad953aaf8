//go:build linux

package interop_test

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// serve runs luksimg serve, and returns the URI and the process. The end of the test stops it.
func serve(t *testing.T, args ...string) (string, *exec.Cmd) {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	c := exec.Command(path, append([]string{"serve", "-q"}, args...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line), c
}

// servedDisk returns a disk and a key file.
func servedDisk(t *testing.T) (d interop.Disk, keyFile string) {
	interop.Need(t, "nbdinfo", "nbdcopy", "qemu-img", "qemu-io", "mke2fs", "sfdisk")
	return interop.MBRDisk(t), interop.KeyFile(t, dek)
}

// TestServeRead reads served images with libnbd and QEMU, which do not get the key.
func TestServeRead(t *testing.T) {
	t.Parallel()
	d, keyFile := servedDisk(t)
	dir := t.TempDir()
	images := map[string]string{"raw": d.Path, "vhd": d.VHD(t, "dynamic"), "qcow2": filepath.Join(dir, "qcow2")}
	interop.Must(t, "qemu-img", "convert", "-c", "-O", "qcow2", d.Path, images["qcow2"])
	for _, shape := range shapes[:2] {
		images[shape.name] = filepath.Join(dir, shape.name)
		encrypt(t, d.Path, images[shape.name], keyFile, shape.args...)
	}
	for name, image := range images {
		uri, _ := serve(t, "--key-file", keyFile, image)
		out := filepath.Join(dir, name+".copy")
		interop.Must(t, "nbdcopy", uri, out)
		assert.Equal(t, d.SHA256(t, d.Size), interop.Disk{Path: out, Size: d.Size}.SHA256(t, d.Size), name)
		interop.Must(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", uri, d.Path)
		interop.Must(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, filepath.Join(dir, name+".conv"))
		interop.Must(t, "qemu-img", "compare", "-F", "raw", filepath.Join(dir, name+".conv"), d.Path)

		var info struct {
			Exports []struct {
				Size     int64    `json:"export-size"`
				ReadOnly bool     `json:"is_read_only"`
				Contexts []string `json:"contexts"`
			} `json:"exports"`
		}
		require.NoError(t, json.Unmarshal([]byte(interop.Must(t, "nbdinfo", "--list", "--json", uri).Stdout), &info), name)
		require.Len(t, info.Exports, 1, name)
		assert.Equal(t, d.Size, info.Exports[0].Size, name)
		assert.True(t, info.Exports[0].ReadOnly, name)
		assert.Equal(t, []string{"base:allocation"}, info.Exports[0].Contexts, name)
		// Sources with holes must report them.
		zeros := strings.Contains(interop.Must(t, "nbdinfo", "--map", uri).Stdout, "zero")
		assert.Equal(t, !strings.HasPrefix(name, "luks"), zeros, name)
	}
}

// TestServeBoot boots a served LUKS image in QEMU, which gets only the URI.
func TestServeBoot(t *testing.T) {
	t.Parallel()
	interop.NeedBoot(t)
	d, keyFile := interop.BootableDisk(t), interop.KeyFile(t, dek)
	image := filepath.Join(t.TempDir(), "image")
	encrypt(t, d.Path, image, keyFile, shapes[1].args...)
	uri, _ := serve(t, "--key-file", keyFile, image)
	c := exec.Command("timeout", "300", "qemu-system-x86_64", "-m", "512", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-accel", "tcg", "-drive", "if=virtio,format=raw,snapshot=on,file="+strings.ReplaceAll(uri, ",", ",,"))
	out, err := c.CombinedOutput()
	assert.Contains(t, string(out), "BOOTED marker=luks-boot-test", err)
}

// TestServeEncrypt pulls an encrypted image with nbdcopy. qemu-img and cryptsetup must open it.
func TestServeEncrypt(t *testing.T) {
	t.Parallel()
	d, keyFile := servedDisk(t)
	for _, shape := range shapes[:2] {
		out := filepath.Join(t.TempDir(), shape.name)
		uri, c := serve(t, append([]string{"--once", "--encrypt", "--key-file", keyFile, d.Path}, shape.args...)...)
		interop.Must(t, "nbdcopy", uri, out)
		require.NoError(t, c.Wait(), "the server ends with its last client")
		if shape.version == 1 {
			plain := interop.QEMUDecrypt(t, out, keyFile)
			assert.Equal(t, d.SHA256(t, d.Size), interop.Disk{Path: plain, Size: d.Size}.SHA256(t, d.Size))
		}
		mustLuksimg(t, "verify", "--key-file", keyFile, d.Path, out)
	}
}

// TestServeWrite writes to served images with other programs, and then reads the images without the
// server. One server is killed, and all flushed data must be there.
func TestServeWrite(t *testing.T) {
	t.Parallel()
	d, keyFile := servedDisk(t)
	for _, shape := range append(shapes[:2:2], shapes[3]) {
		dir := t.TempDir()
		image, plain := filepath.Join(dir, "image"), filepath.Join(dir, "plain")
		empty := filepath.Join(dir, "empty")
		interop.WriteFile(t, empty, nil)
		require.NoError(t, os.Truncate(empty, d.Size))
		encrypt(t, empty, image, keyFile, shape.args...)

		uri, c := serve(t, "--rw", "--key-file", keyFile, image)
		interop.Must(t, "nbdcopy", "--flush", d.Path, uri)
		const patterns = "write -P 5 1000 70000|write -P 6 3 1|write -f -P 7 5M 1M|write -z 8M 300000|write -P 8 20000511 2|flush"
		args := []string{"-f", "raw"}
		for _, p := range strings.Split(patterns, "|") {
			args = append(args, "-c", p)
		}
		interop.Must(t, "qemu-io", append(args, uri)...)
		require.NoError(t, c.Process.Kill())
		c.Wait()

		interop.Must(t, "cp", d.Path, plain)
		interop.Must(t, "qemu-io", append(args, plain)...)
		mustLuksimg(t, "verify", "--key-file", keyFile, plain, image)
		if shape.version == 1 {
			back := interop.QEMUDecrypt(t, image, keyFile)
			interop.Must(t, "cmp", back, plain)
		}
	}
}

// TestServeVerify writes with four connections of fio, and verifies the data.
func TestServeVerify(t *testing.T) {
	t.Parallel()
	interop.Need(t, "fio")
	for _, shape := range append(shapes[:2:2], shapes[3]) {
		dir := t.TempDir()
		empty, image, keyFile := filepath.Join(dir, "empty"), filepath.Join(dir, "image"), interop.KeyFile(t, dek)
		interop.WriteFile(t, empty, nil)
		require.NoError(t, os.Truncate(empty, 16<<20))
		encrypt(t, empty, image, keyFile, shape.args...)
		uri, _ := serve(t, "--rw", "--key-file", keyFile, image)
		// fio itself fails with several block lengths and unaligned offsets together.
		for _, blocks := range [][]string{{"--bsrange=512-64k"}, {"--bs=777", "--bs_unaligned=1"}} {
			interop.Must(t, "fio", append(blocks, "--name=verify", "--ioengine=nbd", "--uri="+uri, "--rw=randrw", "--iodepth=16", "--numjobs=4",
				"--size=4m", "--io_size=1m", "--offset_increment=4m", "--verify=crc32c", "--verify_fatal=1", "--fsync=50", "--aux-path="+dir)...)
		}
	}
}

// TestServeTLS reads with libnbd and QEMU over TLS with client certificates. Clients without a
// certificate must be rejected.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	d, _ := servedDisk(t)
	interop.Need(t, "openssl")
	for name, keys := range map[string]string{"RSA": "rsa:2048", "ECDSA": "ec -pkeyopt ec_paramgen_curve:P-256"} {
		t.Run(name, func(t *testing.T) { serveTLS(t, d, keys) })
	}
}

// serveTLS is TestServeTLS with certificates made by openssl -newkey keys.
func serveTLS(t *testing.T, d interop.Disk, keys string) {
	pki, stranger := t.TempDir(), t.TempDir()
	interop.Must(t, "sh", "-ec", `cd "$1"
		new="-newkey $3 -nodes"
		openssl req -x509 $new -days 2 -subj /CN=ca -keyout ca-key.pem -out ca-cert.pem
		echo subjectAltName=DNS:localhost,IP:127.0.0.1 >names
		for who in server client; do
			openssl req $new -subj /CN=$who -keyout $who-key.pem -out $who.csr
			openssl x509 -req -in $who.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile names -out $who-cert.pem
		done
		cp ca-cert.pem "$2"`, "sh", pki, stranger, keys)
	uri, _ := serve(t, "--listen", "127.0.0.1:0", "--tls-certificates", pki, d.Path)
	u, err := url.Parse(uri)
	require.NoError(t, err)
	require.Equal(t, "nbds", u.Scheme)
	out := filepath.Join(t.TempDir(), "out")
	interop.Must(t, "nbdcopy", uri+"?tls-certificates="+pki, out)
	assert.Equal(t, d.SHA256(t, d.Size), interop.Disk{Path: out, Size: d.Size}.SHA256(t, d.Size))
	interop.Must(t, "qemu-img", "convert", "-O", "raw", "--object", "tls-creds-x509,id=tls,endpoint=client,dir="+pki,
		"--image-opts", "driver=nbd,tls-creds=tls,host="+u.Hostname()+",port="+u.Port(), out+".qemu")
	interop.Must(t, "cmp", out, out+".qemu")
	assert.NotZero(t, interop.Run(t, "nbdinfo", "--size", "nbd://"+u.Host+"/").Code, "without TLS")
	assert.NotZero(t, interop.Run(t, "nbdinfo", "--size", uri+"?tls-certificates="+stranger).Code, "without a certificate")
}
