package picture

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/browser"
	"github.com/luksimg/luksimg/internal/diskmap"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	testdata = "../../../../testdata/"
	docs     = "../../../../docs/pictures/"
)

// padded is a file followed by zeros.
type padded struct {
	head []byte
	size int64
}

func (p padded) ReadAt(b []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(b)), p.size-off)))
	clear(b[:n])
	if off < int64(len(p.head)) {
		copy(b[:n], p.head[off:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// imageOf draws the image in a file, as inspect does.
func imageOf(t *testing.T, name string, r io.ReaderAt, size int64) []byte {
	t.Helper()
	i := Image{Name: name}
	var err error
	if i.Info, err = luksimg.Inspect(t.Context(), r, size, luksimg.ImageOptions{}); err != nil {
		t.Fatal(err)
	}
	if d := i.Info.Disk; d != nil {
		if i.Contents, err = contents.Inspect(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if i.Density, err = diskmap.Shares(t.Context(), d, 256); err != nil {
			t.Fatal(err)
		}
	}
	return i.Draw()
}

// luksOf draws a LUKS image with a data area of 32 MiB.
func luksOf(t *testing.T, name string, o luks.Options) []byte {
	t.Helper()
	o.KDF, o.UUID = luks.KDF{Type: luks.PBKDF2, Iterations: 1000}, "6d7a0a37-22ac-4a5e-9d3c-2f4f2f6b3a10"
	o.Rand = rand.NewChaCha8([32]byte{1})
	h, key, err := luks.New(t.Context(), []byte("passphrase"), o)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	size := h.DataOffset() + 32<<20
	return imageOf(t, name, padded{b.Bytes(), size}, size)
}

func goldenImage(t *testing.T, name, file string) []byte {
	b := golden.Read(testdata + file)
	return imageOf(t, name, bytes.NewReader(b), int64(len(b)))
}

// tokens returns tokens of luksimg, clevis and systemd, and one with an unknown type.
func tokens(t *testing.T) []json.RawMessage {
	all := []json.RawMessage{json.RawMessage(`{"type":"</text><script>","keyslots":[]}`)}
	for _, name := range []string{"clevis-tang", "systemd-tpm2"} {
		b, err := os.ReadFile("../../../../luks/testdata/tokens/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var token map[string]any
		if err := json.Unmarshal(b, &token); err != nil {
			t.Fatal(err)
		}
		token["keyslots"] = []string{"0"}
		if b, err = json.Marshal(token); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func at(seconds int, action, initiator string, target string, data map[string]any) audit.Event {
	return audit.Event{
		Time: time.Date(2026, 11, 1, 12, 0, seconds, 0, time.UTC), Action: action, Outcome: "success", ReasonCode: 200,
		Initiator: audit.Party{Name: initiator}, Target: audit.Party{ID: target}, RequestData: data,
	}
}

const crn = "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k-1"

func story() []audit.Event {
	return []audit.Event{
		at(0, "kms.secrets.create", "me@example.com", crn, nil),
		at(40, "kms.secrets.wrap", "me@example.com", crn, nil),
		at(190, audit.ActionUpload, "me@example.com", "cos://us-south/images/web.raw", map[string]any{"root_key": crn}),
		at(250, "audit-log.vsi-image-template.create", "me@example.com", "crn:v1:x:::::a:vsi-image-template:guid-1", map[string]any{"crkCrn": crn}),
		at(905, "kms.secrets.unwrap", "server-protect", crn, nil),
		at(960, "audit-log.vsi.provision", "me@example.com", "crn:v1:x:::::a:vsi:9", map[string]any{"imageTemplate": "guid-1"}),
	}
}

func brokenStory() []audit.Event {
	all := story()[1:4]
	refused := at(300, "kms.secrets.unwrap", "server-protect", crn, nil)
	refused.Outcome, refused.ReasonCode, refused.ReasonType = "failure", 403, "Forbidden </text>\u202e"
	return append(all, refused)
}

// pictures returns all golden files by name, including those in the documentation.
func pictures(t *testing.T) map[string][]byte {
	query := audit.Query{RootKeyCRN: crn, ImageID: "guid-1"}
	about := []string{"root key " + crn, "image guid-1"}
	packed := Image{Name: "web.ova", Info: &luksimg.Info{
		Format: luksimg.VHD, FileSize: 30 << 20, UnpackedSize: 90 << 20, VirtualSize: 200 << 20, DataSize: 80 << 20, Layers: []string{"xz", "ova"}, VHD: &vhd.Info{},
		Archive: &luksimg.ArchiveInfo{Kind: archive.OVA, Member: "web.vhd", Disks: []archive.Disk{{Name: "web.vhd", Size: 90 << 20}, {Name: "broken.vmdk", Size: 1000, Problem: "cut off"}}},
	}}
	damaged := Image{Name: "damaged.luks", Info: &luksimg.Info{Format: luksimg.LUKS2, FileSize: 40 << 20, Encrypted: true, LUKS: &luks.Info{
		Version: 2, Cipher: "aes-xts-plain64", MetadataSize: 16 << 10, DataOffset: 16 << 20, Unfit: []string{"secondary"},
		Keyslots: []luks.SlotInfo{{Slot: 0, KDF: luks.Argon2id, Offset: 32 << 10, Size: 256 << 10}, {Slot: 1, KDF: luks.Argon2id, Offset: 100 << 10, Size: 256 << 10, Problem: "overlaps"}},
		Segments: []luks.SegmentInfo{{Segment: 0, Type: "crypt", Offset: 16 << 20, Size: 10 << 20, Cipher: "aes-xts-plain64"}, {Segment: 1, Type: "linear", Offset: 26 << 20}},
	}}}
	list := Image{Name: "two.ova", Info: &luksimg.Info{Format: "ova", FileSize: 5 << 20, Layers: []string{"ova"},
		Archive: &luksimg.ArchiveInfo{Kind: archive.OVA, Disks: []archive.Disk{{Name: "a.vmdk", Size: 1 << 20}, {Name: "b.vmdk", Size: 3 << 20}}}}}
	return map[string][]byte{
		docs + "luks2.svg":        luksOf(t, "disk.luks", luks.Options{Tokens: tokens(t)[1:]}),
		docs + "disk.svg":         goldenImage(t, "server.raw", "contents/gpt.img.gz"),
		docs + "qcow2.svg":        goldenImage(t, "server.qcow2", "qcow/snap.qcow2.gz"),
		docs + "audit.svg":        Audit(audit.Chain(story(), query), about),
		docs + "audit-broken.svg": Audit(audit.Chain(brokenStory(), query), about),
		"testdata/luks1.svg":      luksOf(t, "disk.luks", luks.Options{Version: 1}),
		"testdata/tokens.svg":     luksOf(t, "<disk>.luks", luks.Options{Tokens: tokens(t), Label: "x"}),
		"testdata/damaged.svg":    damaged.Draw(),
		"testdata/packed.svg":     packed.Draw(),
		"testdata/list.svg":       list.Draw(),
		"testdata/vhd.svg":        goldenImage(t, "a.vhd", "vhd/dynamic-5m.vhd.gz"),
		"testdata/fixed.svg":      goldenImage(t, "a.vhd", "vhd/fixed-64k.vhd.gz"),
		"testdata/vhdx.svg":       goldenImage(t, "a.vhdx", "vhdx/log.vhdx.gz"),
		"testdata/vmdk.svg":       goldenImage(t, "a.vmdk", "vmdk/stream.vmdk.gz"),
		"testdata/delta.svg":      goldenImage(t, "a.vmdk", "vmdk/delta.vmdk.gz"),
		"testdata/vdi.svg":        goldenImage(t, "a.vdi", "vdi/dynamic.vdi.gz"),
		"testdata/mbr.svg":        goldenImage(t, "a.raw", "contents/mbr.img.gz"),
	}
}

func TestGolden(t *testing.T) {
	for name, svg := range pictures(t) {
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s is not well-formed: %v", name, err)
			}
		}
		if strings.Contains(string(svg), "<script") {
			t.Errorf("%s contains a script", name)
		}
		if *update {
			if err := os.WriteFile(name, svg, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(name); err != nil || !bytes.Equal(svg, want) {
			t.Errorf("%s differs from the drawing (%v): run go test -update and inspect it", name, err)
		}
	}
}

// TestShows checks that the drawings contain the expected texts.
func TestShows(t *testing.T) {
	all := pictures(t)
	for name, want := range map[string][]string{
		docs + "luks2.svg":        {">header, secondary copy<", ">key slot 0, pbkdf2<", ">data, aes-xts-plain64<", "token 0, ", ">token<", "not to scale"},
		docs + "disk.svg":         {"disk: GPT", ">1: fat12 EFI<", "swap"},
		docs + "qcow2.svg":        {">snapshot table<", "snapshot 1 ", ">L1 table<"},
		docs + "audit.svg":        {"chain of events: whole", "provision: there is an event of it", "+10m55s"},
		docs + "audit-broken.svg": {"chain of events: broken", "refused: 403", "provision: missing", ">provision: no event found", "failure, reason"},
		"testdata/tokens.svg":     {"&lt;/text&gt;&lt;script&gt;", "&lt;disk&gt;.luks"},
		"testdata/damaged.svg":    {"unfit header, secondary copy", "not encrypted", ">damaged<"},
		"testdata/packed.svg":     {"xz &gt; ova", "disk web.vhd, drawn here", "file: vhd"},
		"testdata/list.svg":       {"disk a.vmdk", "disk b.vmdk"},
		"testdata/luks1.svg":      {"file: LUKS1", ">header<", ">592 B<"},
		"testdata/vhd.svg":        {">footer<", ">block allocation table<"},
		"testdata/vhdx.svg":       {">log<", ">metadata region<"},
		"testdata/vmdk.svg":       {">descriptor<", ">grain directory<"},
		"testdata/vdi.svg":        {">block map<"},
		"testdata/mbr.svg":        {"disk: MBR"},
	} {
		for _, text := range want {
			if !strings.Contains(string(all[name]), text) {
				t.Errorf("%s does not show %s", name, text)
			}
		}
	}
}

// TestBrowser renders all drawings in a browser at the size of a phone. No text may leave the drawing or overlap
// another one.
func TestBrowser(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	b := []byte("<!doctype html><meta charset=utf-8><body style='margin:0'><style>svg{max-width:100%;height:auto;display:block}</style>")
	for name, svg := range pictures(t) {
		b = append(b, "<h1 style='font-size:10px'>"+filepath.Base(name)+"</h1>"...)
		b = append(b, svg...)
	}
	if err := os.WriteFile(page, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Texts  int
		Scroll int
		Bad    []string
	}
	browser.Measure(t, page, 360, `(() => {
  const bad = []
  let texts = 0
  for (const svg of document.querySelectorAll("svg")) {
    const name = svg.previousElementSibling.textContent, seen = []
    for (const e of svg.querySelectorAll("text")) {
      const b = e.getBBox()
      texts++
      if (b.x < 11 || b.x + b.width > 389 || b.y < 0 || b.y + b.height > svg.viewBox.baseVal.height) bad.push(name + ": outside: " + e.textContent)
      for (const o of seen) {
        const x = Math.min(b.x + b.width, o.x + o.width) - Math.max(b.x, o.x), y = Math.min(b.y + b.height, o.y + o.height) - Math.max(b.y, o.y)
        if (x > 0.5 && y > 5) bad.push(name + ": over another: " + e.textContent)
      }
      seen.push(b)
    }
    for (const e of svg.querySelectorAll(".inside")) {
      const b = e.getBBox()
      if (![...svg.querySelectorAll("rect.data")].some(r => { const q = r.getBBox(); return q.x <= b.x && q.y <= b.y && q.x + q.width >= b.x + b.width && q.y + q.height >= b.y + b.height }))
        bad.push(name + ": not in its box: " + e.textContent)
    }
  }
  return {texts, bad, scroll: document.documentElement.scrollWidth}
})()`, &got)
	if got.Texts < 150 || got.Scroll > 360 || len(got.Bad) > 0 {
		t.Errorf("%d texts, %d pixels wide:\n%s", got.Texts, got.Scroll, strings.Join(got.Bad, "\n"))
	}
}
