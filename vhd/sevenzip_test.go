package vhd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestSevenZip compares our reads with those of 7-Zip, which supports differencing disks, unlike
// QEMU. 7-Zip finds the parent by the name in the header. It refuses nonzero bytes under clear bits
// in a dynamic disk, which build leaves there, so the last parent is fixed.
func TestSevenZip(t *testing.T) {
	program := ""
	for _, name := range []string{"7z", "7zz", "7za"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		need.Lack(t, "7-Zip is not installed")
	}
	const size = 4<<20 + 512
	for seed, blockSize := range []int64{512 << 10, 2 << 20, 512 << 10, 2 << 20} {
		dir := t.TempDir()
		put := func(name, parent string, file []byte) {
			if parent != "" {
				editHeader(file, func(h []byte) {
					clear(h[offParentName:][:parentNameSize])
					for i := range len(parent) {
						h[offParentName+2*i+1] = parent[i]
					}
				})
			}
			if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		compare := func(name string, want []byte) {
			got, err := exec.Command(program, "x", "-so", "-tvhd", filepath.Join(dir, name)).Output()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s in blocks of %d: %d bytes, want %d, or the data differs; %v", name, blockSize, len(got), len(want), err)
			}
		}
		first, guest := testDisk{size: size, id: 3, seed: uint64(seed)}.build()
		put("first.vhd", "", first)
		compare("first.vhd", guest)
		second, guest := testDisk{size: size, blockSize: blockSize, base: guest, baseID: 3, id: 4, seed: uint64(seed)}.build()
		put("second.vhd", "first.vhd", second)
		compare("second.vhd", guest)
		third, guest := testDisk{size: size, blockSize: 2 << 20, base: guest, baseID: 4, id: 5, seed: uint64(seed) + 10}.build()
		put("third.vhd", "second.vhd", third)
		compare("third.vhd", guest)

		guest = patchy(size, uint64(seed))
		made, _ := create(t, bytes.NewReader(guest), CreateOptions{BlockSize: blockSize})
		put("made.vhd", "", made)
		compare("made.vhd", guest)
		made, r := create(t, bytes.NewReader(guest), CreateOptions{Type: Fixed})
		put("fixed.vhd", "", made)
		compare("fixed.vhd", append(guest, make([]byte, r.VirtualSize-size)...))
	}
}
