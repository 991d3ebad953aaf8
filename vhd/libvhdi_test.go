package vhd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// readLibvhdi is a program that writes what libvhdi reads of its first argument, whose
// parent is the second, and so on.
const readLibvhdi = `
import sys, pyvhdi
disks = []
for name in reversed(sys.argv[1:]):
    d = pyvhdi.file()
    d.open(name)
    if disks:
        d.set_parent(disks[-1])
    disks.append(d)
d, left = disks[-1], disks[-1].get_media_size()
while left > 0:
    b = d.read_buffer(min(left, 1 << 20))
    if not b:
        sys.exit("short")
    left -= len(b)
    sys.stdout.buffer.write(b)
`

// libvhdi, which reads differencing disks as qemu does not, reads the same. It is
// asked where it is installed for Python. Blocks are all set or all clear here: of a
// byte of a bitmap that has both, version 20210425 takes what follows a set bit as set.
func TestLibvhdi(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import pyvhdi").CombinedOutput(); err != nil {
		t.Skipf("no libvhdi for Python: %v: %s", err, bytes.TrimSpace(out))
	}
	const size = 4<<20 + 512
	dir := t.TempDir()
	put := func(name string, file []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	compare := func(want []byte, names ...string) {
		t.Helper()
		var stderr bytes.Buffer
		c := exec.Command("python3", append([]string{"-c", readLibvhdi}, names...)...)
		c.Stderr = &stderr
		got, err := c.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes, want %d, or other ones", names, len(got), len(want))
		}
	}
	fixed, guest := disk{size: size, id: 3}.build()
	a := put("a.vhd", fixed)
	compare(guest, a)
	kinds := []int{kindAbsent, kindFull, kindClear}
	for i, blockSize := range []int64{512 << 10, 2 << 20} {
		child, childGuest := disk{size: size, blockSize: blockSize, base: guest, baseID: 3, id: 4, kinds: kinds[i:]}.build()
		b := put("b.vhd", child)
		compare(childGuest, b, a)
		third, thirdGuest := disk{size: size, blockSize: blockSize, base: childGuest, baseID: 4, id: 5, kinds: kinds[:2+i]}.build()
		compare(thirdGuest, put("c.vhd", third), b, a)
	}
	made, _ := create(t, bytes.NewReader(guest), CreateOptions{})
	compare(guest, put("d.vhd", made))
	made, r := create(t, bytes.NewReader(guest), CreateOptions{Type: Fixed})
	compare(append(guest, make([]byte, r.VirtualSize-size)...), put("e.vhd", made))
}
