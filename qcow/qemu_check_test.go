package qcow_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/qcow"
)

// TestQEMUCheck damages images and compares the counts of Check with those of qemu-img check.
func TestQEMUCheck(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	const size = 4 << 20
	need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "a", fmt.Sprint(size))
	need.Run(t, dir, "qemu-io", append(writes(size, 3, "w"), "-f", "qcow2", "a")...)
	need.Run(t, dir, "qemu-img", "snapshot", "-c", "s", "a")
	need.Run(t, dir, "qemu-io", append(writes(size, 4, "wz"), "-f", "qcow2", "a")...)
	good, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 5))
	l1 := int(binary.BigEndian.Uint64(good[40:]))
	l2 := int(binary.BigEndian.Uint64(good[l1:]) & 0x00fffffffffffe00)
	refblock := int(binary.BigEndian.Uint64(good[binary.BigEndian.Uint64(good[48:]):]))
	found := int64(0)
	for i := range 40 {
		b := bytes.Clone(good)
		for range i % 4 { // every fourth image is undamaged

			switch rnd.IntN(4) {
			case 0:
				binary.BigEndian.PutUint16(b[refblock+2*rnd.IntN(300):], uint16(rnd.IntN(4)))
			case 1:
				clear(b[l2+8*rnd.IntN(512):][:8])
			case 2:
				copy(b[l2+8*rnd.IntN(512):][:8], b[l2+8*rnd.IntN(512):])
			case 3:
				b[l2+8*rnd.IntN(512)] ^= 0x80
			}
		}
		name := fmt.Sprint(i)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("qemu-img", "check", "--output=json", "-f", "qcow2", filepath.Join(dir, name)).Output()
		var want struct {
			Corruptions, Leaks int64
			Total              int64 `json:"total-clusters"`
			Allocated          int64 `json:"allocated-clusters"`
			ImageEnd           int64 `json:"image-end-offset"`
		}
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		d, err := openFile(t, dir, name, qcow.Options{MetadataOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Check(context.Background())
		if err != nil || got.Corruptions != want.Corruptions || got.Leaks != want.Leaks {
			t.Errorf("%d: %+v, %v, want %+v", i, got, err, want)
		}
		if i == 0 && (got.TotalClusters != want.Total || got.AllocatedClusters != want.Allocated || got.ImageEnd != want.ImageEnd) {
			t.Errorf("%+v, want %+v", got, want)
		}
		found += want.Corruptions + want.Leaks
	}
	if found < 20 {
		t.Errorf("only %d problems were found", found)
	}
}
