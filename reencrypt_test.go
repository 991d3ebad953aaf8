package luksimg_test

import (
	"slices"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// TestKeep checks that unset options are copied from the source, and that Keep reports what LUKS1
// cannot store.
func TestKeep(t *testing.T) {
	src := luks.Info{SectorSize: 4096, Label: "disk", Subsystem: "vm", Flags: []string{"no-read-workqueue"},
		Tokens: []luks.Token{{Number: 3, Type: "clevis"}}}
	var o luksimg.ReencryptOptions
	o.NoLabel = true
	dropped, err := o.Keep(src)
	if lo := o.LUKS; err != nil || lo.SectorSize != 4096 || lo.Label != "" || lo.Subsystem != "vm" || !slices.Equal(lo.Flags, src.Flags) {
		t.Errorf("%+v, %v", lo, err)
	}
	if want := []string{`token 3 ("clevis")`}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, want %q", dropped, want)
	}
	o = luksimg.ReencryptOptions{EncryptOptions: luksimg.EncryptOptions{Format: luksimg.LUKS1}}
	dropped, err = o.Keep(src)
	want := []string{`flags "no-read-workqueue"`, `label "disk"`, "sectors of 4096 bytes", `subsystem "vm"`, `token 3 ("clevis")`}
	if err != nil || !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, %v; want %q", dropped, err, want)
	}
	o.Format = luksimg.QCOW2
	if _, err := o.Keep(src); err == nil {
		t.Error("Keep accepted qcow2")
	}
}
