package main

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// file returns the path of a file in the fast folder.
func (c *config) file(name string) string { return filepath.Join(c.fast, name) }

func (c *config) must(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w\n%s", args, err, out)
	}
	return nil
}

// prepare makes the sources. Jobs without compression use random data. Jobs with compression use a disk
// of random data and text from a fixed seed, which deflate halves and which is hard to decode, and a
// disk with files of this system, like the disk of a server.
func (c *config) prepare() error {
	c.key = c.file("key")
	if err := os.WriteFile(c.key, []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="), 0o600); err != nil {
		return err
	}
	if err := writeNoise(c.file("key64"), 64); err != nil {
		return err
	}
	if err := writeNoise(c.file("raw"), c.size); err != nil {
		return err
	}
	if err := writeNoise(c.file("tiny"), 1<<20); err != nil {
		return err
	}
	if err := writeText(c.file("text"), c.size); err != nil {
		return err
	}
	if err := writeFiles(c.file("system"), c.size); err != nil {
		return err
	}
	qemu := func(src, dst, format string, more ...string) error {
		return c.must(append(append([]string{"qemu-img", "convert", "-f", "raw", "-O", format}, more...), c.file(src), c.file(dst))...)
	}
	steps := []func() error{
		func() error { return c.must(c.luksimgEncrypt("raw", "luks1", "luks1")...) },
		func() error { return c.must(c.luksimgEncrypt("raw", "luks2", "luks2")...) },
		func() error { return c.must(c.luksimgEncrypt("tiny", "tiny.luks1", "luks1")...) },
		func() error { return c.must(c.luksimgEncrypt("tiny", "tiny.luks2", "luks2")...) },
	}
	for _, err := range []error{
		qemu("raw", "vhd", "vpc", "-o", "subformat=dynamic,force_size=on"),
		qemu("tiny", "tiny.vhd", "vpc", "-o", "subformat=dynamic,force_size=on"),
		qemu("raw", "qcow2", "qcow2"),
		qemu("tiny", "tiny.qcow2", "qcow2"),
		qemu("text", "zlib", "qcow2", "-c"),
		qemu("tiny", "tiny.zlib", "qcow2", "-c"),
		qemu("system", "files", "qcow2", "-c"),
		qemu("tiny", "tiny.files", "qcow2", "-c"),
		qemu("text", "zlib2m", "qcow2", "-c", "-o", "cluster_size=2M"),
		qemu("tiny", "tiny.zlib2m", "qcow2", "-c", "-o", "cluster_size=2M"),
		qemu("text", "zstd", "qcow2", "-c", "-o", "compression_type=zstd"),
		qemu("tiny", "tiny.zstd", "qcow2", "-c", "-o", "compression_type=zstd"),
		c.must("qemu-img", "create", "-f", "qcow2", c.file("empty"), "64T"),
		os.Remove(c.file("text")),
		os.Remove(c.file("system")),
	} {
		if err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

func writeNoise(name string, n int64) error {
	return write(name, n, func(r *rand.ChaCha8, b []byte) { r.Read(b) })
}

// writeText writes half random data, half repeating text.
func writeText(name string, n int64) error {
	return write(name, n, func(r *rand.ChaCha8, b []byte) {
		for i := 0; i < len(b); i += 64 {
			r.Read(b[i : i+32])
			copy(b[i+32:i+64], "the quick brown fox jumps over a")
		}
	})
}

// writeFiles writes n bytes of this system's files: a quarter from each of four folders. It starts
// again if a folder has less.
func writeFiles(name string, n int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	dirs := []string{"/etc", "/usr/bin", "/usr/lib", "/usr/share"}
	for i, dir := range dirs {
		for end := n * int64(i+1) / int64(len(dirs)); ; {
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			if at == end {
				break
			}
			if err := copyTree(f, dir, end-at); err != nil {
				return err
			}
			if now, err := f.Seek(0, io.SeekCurrent); err != nil {
				return err
			} else if now == at {
				return fmt.Errorf("no data in %s", dir)
			}
		}
	}
	return f.Close()
}

// copyTree writes up to n bytes of the regular files below dir to w.
func copyTree(w io.Writer, dir string, n int64) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		done, err := io.Copy(w, io.LimitReader(f, n))
		if n -= done; err == nil && n == 0 {
			return fs.SkipAll
		}
		return err
	})
}

func write(name string, n int64, fill func(*rand.ChaCha8, []byte)) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 1<<20)
	for ; n > 0; n -= int64(len(b)) {
		b = b[:min(n, int64(len(b)))]
		fill(r, b)
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Close()
}

func (c *config) luksimgEncrypt(src, dst, format string, more ...string) []string {
	return append([]string{c.luksimg, "encrypt", "-q", "--key-file", c.key, "--format", format, "--pbkdf", "pbkdf2",
		"--pbkdf-force-iterations", "1000", "--force", c.file(src), c.file(dst)}, more...)
}

// qemuEncrypt converts to LUKS with qemu-img. By default, qemu-img uses one coroutine and writes in
// order.
func (c *config) qemuEncrypt(from, src string, more ...string) []string {
	return append(append([]string{"qemu-img", "convert", "--object", "secret,id=k,file=" + c.key, "-f", from, "-O", "luks",
		"-o", "key-secret=k,iter-time=10"}, more...), c.file(src), c.file("out"))
}

func (c *config) qemuDecrypt(src string, more ...string) []string {
	return append(append([]string{"qemu-img", "convert", "--object", "secret,id=k,file=" + c.key,
		"--image-opts", "driver=luks,key-secret=k,file.filename=" + c.file(src), "-O", "raw"}, more...), c.file("out"))
}

// fast are the fastest options of qemu-img.
var fast = []string{"-W", "-m", "16"}

func one(args ...string) [][]string { return [][]string{args} }

// jobs returns all jobs. The first contender of each is luksimg.
func (c *config) jobs() []job {
	all := append(c.encryptJobs(), c.formatJobs()...)
	all = append(all, c.containerJobs()...)
	return append(all, c.otherJobs()...)
}

// containerJobs write encrypted and plain images in other formats.
func (c *config) containerJobs() []job {
	out := []string{c.file("out"), c.file("out.qcow2")}
	qemuPlain := func(format string, more ...string) [][]string {
		return one(append(append(append([]string{"qemu-img", "convert", "-f", "raw", "-O", format}, more...), fast...), c.file("raw"), c.file("out"))...)
	}
	qemuQCOW := func(src string) [][]string {
		return one(append(append([]string{"qemu-img", "convert", "--object", "secret,id=k,file=" + c.key, "-f", "qcow2", "-O", "qcow2",
			"-o", "encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10"}, fast...), c.file(src), c.file("out"))...)
	}
	convert := func(format string) [][]string {
		return one(c.luksimg, "convert", "-q", "--force", "--format", format, c.file("raw"), c.file("out"))
	}
	return []job{
		{name: "qcow2-qcow2luks", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: one(c.luksimgEncrypt("qcow2", "out", "qcow2")...), without: one(c.luksimgEncrypt("tiny.qcow2", "out", "qcow2")...), remove: out},
			{name: "qemu-img-W-m16", cmds: qemuQCOW("qcow2"), without: qemuQCOW("tiny.qcow2"), remove: out},
		}},
		{name: "raw-vhdenc", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: one(c.luksimg, "encrypt", "-q", "--force", "--format", "vhd", "--key-file", c.file("key64"), c.file("raw"), c.file("out")), remove: out},
			{name: "qemu-img-plain", cmds: qemuPlain("vpc", "-o", "subformat=dynamic,force_size=on"), remove: out},
		}},
		{name: "raw-vhd", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: convert("vhd"), remove: out},
			{name: "qemu-img-W-m16", cmds: qemuPlain("vpc", "-o", "subformat=dynamic,force_size=on"), remove: out},
		}},
		{name: "raw-qcow2", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: convert("qcow2"), remove: out},
			{name: "qemu-img-W-m16", cmds: qemuPlain("qcow2"), remove: out},
		}},
	}
}

func (c *config) encryptJobs() []job {
	out := []string{c.file("out"), c.file("header")}
	has := func(program string) string {
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
		return ""
	}
	floor := []contender{
		{name: "cat", cmds: one(shell("cat " + c.file("raw") + " >" + c.file("out"))...), remove: out},
		{name: "copy-2", cmds: one(c.peers, "copy", "2", c.file("raw"), c.file("out")), remove: out},
		c.writeOnly(),
	}
	encrypt := func(version string) []contender {
		return []contender{
			{name: "luksimg", cmds: one(c.luksimgEncrypt("raw", "out", "luks"+version)...), without: one(c.luksimgEncrypt("tiny", "out", "luks"+version)...), remove: out},
			{name: "luksy", cmds: one(c.peers, "luksy-encrypt", version, c.key, c.file("raw"), c.file("out")),
				without: one(c.peers, "luksy-encrypt", version, c.key, c.file("tiny"), c.file("out")), remove: out, slow: true},
		}
	}
	reencrypt := func(src string) [][]string {
		return [][]string{
			{"cp", "--reflink=never", c.file(src), c.file("out")},
			{"cryptsetup", "reencrypt", "--encrypt", "--type", "luks2", "-q", "--disable-locks", "--force-offline-reencrypt", "--header", c.file("header"),
				"--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "512", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
				"--key-file", c.key, c.file("out")},
		}
	}
	luks1 := append(encrypt("1"),
		contender{name: "qemu-img", cmds: one(c.qemuEncrypt("raw", "raw")...), without: one(c.qemuEncrypt("raw", "tiny")...), remove: out, slow: true, missing: has("qemu-img")},
		contender{name: "qemu-img-W-m16", cmds: one(c.qemuEncrypt("raw", "raw", fast...)...), without: one(c.qemuEncrypt("raw", "tiny", fast...)...), remove: out, missing: has("qemu-img")},
		// The nbdkit filter does not create images, so it writes to an image made by luksimg.
		contender{name: "nbdkit", remove: out, missing: has("nbdcopy"),
			before: func() error { return c.must("cp", c.file("luks1"), c.file("out")) },
			cmds:   one("nbdcopy", "--", c.file("raw"), "[", "nbdkit", "--exit-with-parent", "file", c.file("out"), "--filter=luks", "passphrase=+"+c.key, "]")},
	)
	luks2 := append(encrypt("2"),
		contender{name: "cp+cryptsetup-reencrypt", cmds: reencrypt("raw"), without: reencrypt("tiny"), remove: out, missing: has("cryptsetup")})
	decrypt := func(version string) []contender {
		luks := "luks" + version
		ours := func(src string) [][]string {
			return one(c.luksimg, "decrypt", "-q", "--force", "--key-file", c.key, c.file(src), c.file("out"))
		}
		return []contender{
			{name: "luksimg", cmds: ours(luks), without: ours("tiny." + luks), remove: out},
			{name: "luksy", cmds: one(c.peers, "luksy-decrypt", c.key, c.file(luks), c.file("out")),
				without: one(c.peers, "luksy-decrypt", c.key, c.file("tiny."+luks), c.file("out")), remove: out, slow: true},
		}
	}
	return []job{
		{name: "raw-luks1", bytes: c.size, contenders: append(luks1, floor...)},
		{name: "raw-luks2", bytes: c.size, contenders: append(luks2, floor...)},
		{name: "luks1-raw", bytes: c.size, contenders: append(append(decrypt("1"),
			contender{name: "qemu-img", cmds: one(c.qemuDecrypt("luks1")...), without: one(c.qemuDecrypt("tiny.luks1")...), remove: out, slow: true, missing: has("qemu-img")},
			contender{name: "qemu-img-W-m16", cmds: one(c.qemuDecrypt("luks1", fast...)...), without: one(c.qemuDecrypt("tiny.luks1", fast...)...), remove: out, missing: has("qemu-img")},
			contender{name: "nbdkit", remove: out, missing: has("nbdcopy"),
				cmds: one("nbdcopy", "--", "[", "nbdkit", "-r", "--exit-with-parent", "file", c.file("luks1"), "--filter=luks", "passphrase=+"+c.key, "]", c.file("out"))},
		), floor...)},
		{name: "luks2-raw", bytes: c.size, contenders: append(decrypt("2"), floor...)},
	}
}

// writeOnly returns a contender that writes without reading.
func (c *config) writeOnly() contender {
	return contender{name: "write-only", cmds: one(c.peers, "write", c.file("raw"), c.file("out")), remove: []string{c.file("out")}}
}

// formatJobs read other formats and write LUKS and raw.
func (c *config) formatJobs() []job {
	out := []string{c.file("out")}
	var all []job
	for _, f := range []struct{ name, qemu string }{{"vhd", "vpc"}, {"qcow2", "qcow2"}, {"zlib", "qcow2"}, {"files", "qcow2"}, {"zlib2m", "qcow2"}, {"zstd", "qcow2"}} {
		all = append(all, job{name: f.name + "-luks1", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: one(c.luksimgEncrypt(f.name, "out", "luks1")...), without: one(c.luksimgEncrypt("tiny."+f.name, "out", "luks1")...), remove: out},
			{name: "qemu-img-W-m16", cmds: one(c.qemuEncrypt(f.qemu, f.name, fast...)...), without: one(c.qemuEncrypt(f.qemu, "tiny."+f.name, fast...)...), remove: out},
		}})
		convert := func(src string) [][]string {
			return one(c.luksimg, "convert", "-q", "--force", c.file(src), c.file("out"))
		}
		raw := []contender{
			{name: "luksimg", cmds: convert(f.name), remove: out},
			{name: "qemu-img-W-m16", cmds: one(append(append([]string{"qemu-img", "convert", "-f", f.qemu, "-O", "raw"}, fast...), c.file(f.name), c.file("out"))...), remove: out},
		}
		if f.qemu == "qcow2" && f.name != "zstd" { // go-qcow2reader does not read zstd
			raw = append(raw, contender{name: "go-qcow2reader", cmds: one(c.peers, "go-qcow2reader", c.file(f.name), c.file("out")), remove: out, slow: f.name == "zlib2m"})
		}
		if f.name == "qcow2" {
			raw = append(raw, c.writeOnly())
		}
		all = append(all, job{name: f.name + "-raw", bytes: c.size, contenders: raw})
	}
	return all
}

// otherJobs are jobs with pipes, disks, maps and sizes.
func (c *config) otherJobs() []job {
	pipe := func(middle string) [][]string {
		return one(shell("cat " + c.file("raw") + " | " + middle + " | cat >/dev/null")...)
	}
	stream := c.luksimg + " encrypt -q --key-file " + c.key + " --pbkdf pbkdf2 --pbkdf-force-iterations 1000 - -"
	big, out := filepath.Join(c.disk, "raw"), filepath.Join(c.disk, "out")
	all := []job{
		{name: "pipe", bytes: c.size, contenders: []contender{
			{name: "luksimg", cmds: pipe(stream)},
			{name: "cat", cmds: pipe("cat")},
		}},
		{name: "map-empty-64T", bytes: 64 << 40, contenders: []contender{
			{name: "luksimg", cmds: one(c.luksimg, "inspect", "--map", c.file("empty"))},
			{name: "qemu-img", cmds: one("qemu-img", "map", "-f", "qcow2", c.file("empty"))},
		}},
	}
	if c.durable > 0 && c.only.MatchString("durable") {
		before := func() error {
			if _, err := os.Stat(big); err != nil {
				if err := writeNoise(big, c.durable); err != nil {
					return err
				}
			}
			// Wait until the disk has finished its own work after the removal of a file.
			return c.must("sync")
		}
		all = append(all, job{name: "durable", bytes: c.durable, twice: true, contenders: []contender{
			{name: "luksimg", before: before, remove: []string{out},
				cmds: one(c.luksimg, "encrypt", "-q", "--key-file", c.key, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", big, out)},
			{name: "dd-fsync", before: before, remove: []string{out},
				cmds: one("dd", "if="+big, "of="+out, "bs=1M", "conv=fsync", "status=none")},
			{name: "dd-direct-fsync", before: before, remove: []string{out},
				cmds: one("dd", "if="+big, "of="+out, "bs=4M", "oflag=direct", "conv=fsync", "status=none")},
			{name: "copy-2+sync", before: before, remove: []string{out},
				cmds: [][]string{{c.peers, "copy", "2", big, out}, {"sync", out}}},
			{name: "cat+sync", before: before, remove: []string{out},
				cmds: [][]string{shell("cat " + big + " >" + out), {"sync", out}}},
		}})
	}
	for n := int64(64 << 20); n <= c.sweep; n *= 4 {
		name := filepath.Join(c.fast, "sparse")
		before := func() error {
			os.Remove(name)
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(n)
		}
		all = append(all, job{name: fmt.Sprintf("sweep-%dMiB", n>>20), bytes: n, once: n > 16<<30, contenders: []contender{
			{name: "luksimg", before: before, cmds: one(shell(c.luksimg + " encrypt -q --key-file " + c.key + " --pbkdf pbkdf2 --pbkdf-force-iterations 1000 " + name + " - >/dev/null")...)},
		}})
	}
	return all
}
