package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// gunzip is the Unpack option of the tests.
func gunzip(_ context.Context, src image.Source) (image.Source, error) {
	z, err := gzip.NewReader(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	return bytes.NewReader(b), err
}

func openImage(b []byte, image string) (*Archive, error) {
	return Open(context.Background(), bytes.NewReader(b), int64(len(b)), Options{Image: image, Unpack: gunzip})
}

// TestOtherImages reads the images that umoci and skopeo make, in all their formats.
func TestOtherImages(t *testing.T) {
	need.Judge(t, "umoci", "skopeo", "tar")
	dir := t.TempDir()
	disk := noise(300_000, 5)
	for name, text := range map[string]string{"one/disk/disk.qcow2": disk, "two/etc/hostname": "vm"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "--layout", "layout"}, {"new", "--image", "layout:latest"},
		{"insert", "--rootless", "--image", "layout:latest", "one/disk", "/disk"},
		{"insert", "--rootless", "--image", "layout:latest", "two/etc", "/etc"},
	} {
		need.Run(t, dir, "umoci", args...)
	}
	need.Run(t, dir, "umoci", "gc", "--layout", "layout")
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"oci-archive:oci.tar", "docker-archive:docker.tar:x/y:latest"} {
		need.Run(t, dir, "skopeo", "--policy", policy, "copy", "oci:layout:latest", to)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	l, err := OpenLayout(context.Background(), root.FS())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := make([]byte, l.Size())
	if _, err := image.ReadFull(l, folder, 0); err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, l, folder)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, b := range map[string][]byte{"oci": folder, "oci of skopeo": read("oci.tar"), "docker": read("docker.tar")} {
		t.Run(name, func(t *testing.T) {
			a, err := openImage(b, "")
			if err != nil {
				t.Fatal(err)
			}
			if kind, _, _ := strings.Cut(name, " "); string(a.Kind) != kind || len(a.Disks) != 1 || a.Disks[0].Name != "disk/disk.qcow2" || a.Disks[0].Digest == "" {
				t.Errorf("%s with %+v", a.Kind, a.Disks)
			}
			if got, err := content(t, a, ""); err != nil || got != disk {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			// Each changed byte must be an error.
			for i := 700; i < len(b); i += len(b) / 40 {
				changed := bytes.Clone(b)
				changed[i] ^= 1
				var got string
				var err error
				if a, e := openImage(changed, ""); e != nil {
					err = e
				} else {
					got, err = content(t, a, "")
				}
				if err == nil && got != disk {
					t.Errorf("byte %d was changed without an error", i)
				}
			}
		})
	}
}

// An imageBuilder makes OCI image layouts.
type imageBuilder struct{ files []file }

func (i *imageBuilder) blob(b string) string {
	d := fmt.Sprintf("%x", sha256.Sum256([]byte(b)))
	i.files = append(i.files, file{name: "blobs/sha256/" + d, data: b})
	return "sha256:" + d
}

func (i *imageBuilder) json(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type object = map[string]any

func (i *imageBuilder) descriptor(b string) object {
	return object{"digest": i.blob(b), "size": len(b), "mediaType": "application/x"}
}

// image adds a manifest with layers and returns its descriptor.
func (i *imageBuilder) image(layers ...string) object {
	all := []object{}
	for _, l := range layers {
		all = append(all, i.descriptor(l))
	}
	return i.descriptor(i.json(object{"schemaVersion": 2, "layers": all}))
}

func (i *imageBuilder) tar(t testing.TB, images ...object) []byte {
	seen := map[string]bool{}
	var files []file
	for _, f := range append(i.files, file{name: "oci-layout", data: `{"imageLayoutVersion":"1.0.0"}`}, file{name: "index.json", data: i.json(object{"manifests": images})}) {
		if !seen[f.name] {
			files = append(files, f)
		}
		seen[f.name] = true
	}
	return tarOf(t, files...)
}

func with(d object, key string, v any) object {
	d[key] = v
	return d
}

func gzipOf(b []byte) string {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.String()
}

// TestLayers reads disks in stacked layers.
func TestLayers(t *testing.T) {
	layer := func(files ...file) string { return string(tarOf(t, files...)) }
	disk, other := file{name: "disk/d.img", data: "the disk"}, file{name: "disk/d.img", data: "another"}
	root := file{name: "etc/passwd", data: "root"}
	tests := map[string]struct {
		layers []string // lowest first
		want   string   // names and contents
	}{
		"one":                  {[]string{layer(root, disk)}, "disk/d.img=the disk"},
		"with ./":              {[]string{layer(file{name: "./disk/", kind: '5'}, file{name: "./disk/d.img", data: "x"})}, "disk/d.img=x"},
		"with /":               {[]string{layer(file{name: "/disk/d.img", data: "x"})}, "disk/d.img=x"},
		"under another":        {[]string{layer(disk), layer(root)}, "disk/d.img=the disk"},
		"replaced":             {[]string{layer(disk), layer(other)}, "disk/d.img=another"},
		"removed":              {[]string{layer(disk), layer(file{name: "disk/.wh.d.img"})}, ""},
		"removed and again":    {[]string{layer(other), layer(file{name: "disk/.wh.d.img"}), layer(disk)}, "disk/d.img=the disk"},
		"the folder removed":   {[]string{layer(disk), layer(file{name: ".wh.disk"})}, ""},
		"opaque":               {[]string{layer(other), layer(file{name: "disk/.wh..wh..opq"}, file{name: "disk/e.img", data: "e"})}, "disk/e.img=e"},
		"a file in its place":  {[]string{layer(disk), layer(file{name: "disk", data: "x"})}, ""},
		"a link in its place":  {[]string{layer(disk), layer(file{name: "disk", kind: '2', link: "etc"})}, ""},
		"two":                  {[]string{layer(disk), layer(file{name: "disk/e.img", data: "e"})}, "disk/e.img=e disk/d.img=the disk"},
		"deeper, and others":   {[]string{layer(file{name: "disk/a/d.img", data: "1"}, file{name: "x/disk/d.img", data: "2"}, file{name: "diskette", data: "3"}, file{name: "../disk/../d.img", data: "4"})}, ""},
		"a link":               {[]string{layer(file{name: "disk/d.img", kind: '2', link: "/etc/passwd"})}, "disk/d.img is a link or a device, not a file"},
		"twice":                {[]string{layer(disk, other)}, "disk/d.img=the disk disk/d.img has the same name as another member of its layer, and programs differ in which one they use"},
		"compressed":           {[]string{gzipOf(tarOf(t, disk)), gzipOf(tarOf(t, root))}, "disk/d.img=the disk"},
		"an empty layer":       {[]string{layer(disk), layer()}, "disk/d.img=the disk"},
		"the same layer twice": {[]string{layer(disk), layer(disk)}, "disk/d.img=the disk"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b imageBuilder
			a, err := openImage(b.tar(t, b.image(test.layers...)), "")
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for i := range a.Disks {
				d := &a.Disks[i]
				if d.Problem != "" {
					all = append(all, d.Name+" "+d.Problem)
					continue
				}
				f, err := d.Open()
				if err != nil {
					t.Fatal(err)
				}
				text := make([]byte, f.Size())
				if _, err := image.ReadFull(f, text, 0); err != nil {
					t.Fatal(err)
				}
				if err := f.Check(context.Background()); err != nil {
					t.Error(err)
				}
				all = append(all, d.Name+"="+string(text))
			}
			if got := strings.Join(all, " "); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestImageChoice(t *testing.T) {
	var b imageBuilder
	layer := func(text string) string { return string(tarOf(t, file{name: "disk/d.img", data: text})) }
	platform := func(os, arch string) object { return object{"os": os, "architecture": arch} }
	amd := with(b.image(layer("amd64")), "platform", platform("linux", "amd64"))
	arm := with(b.image(layer("arm64")), "platform", with(platform("linux", "arm64"), "variant", "v8"))
	attestation := with(b.image(layer("none")), "platform", platform("unknown", "unknown"))
	nested := with(b.descriptor(b.json(object{"manifests": []object{amd, arm, attestation}})), "annotations", object{"org.opencontainers.image.ref.name": "v1"})
	tag := func(d object, name string) object {
		return with(maps.Clone(d), "annotations", object{"org.opencontainers.image.ref.name": name})
	}
	config := b.descriptor(b.json(with(platform("linux", "arm64"), "variant", "v8")))
	// As skopeo writes it, the index has no platform.
	plain := b.descriptor(b.json(object{"schemaVersion": 2, "config": config, "layers": []object{b.descriptor(layer("plain"))}}))
	v1, v2 := tag(plain, "v1"), tag(amd, "example.com/x/vm:v2")
	built := tag(b.descriptor(b.json(object{"manifests": []object{amd, attestation}})), "v3")
	zeros := "sha256:" + strings.Repeat("0", 64)
	tests := map[string]struct {
		images []object
		image  string
		want   string // the name, or a part of the error
	}{
		"one, by tag":                {[]object{v1}, "v1", "plain"},
		"one, by digest":             {[]object{v1}, plain["digest"].(string), "plain"},
		"one, by its platform":       {[]object{v1}, "linux/arm64/v8", "plain"},
		"one, without the variant":   {[]object{v1}, "linux/arm64", "plain"},
		"one, of another platform":   {[]object{v1}, "linux/amd64", `there is not exactly one image "linux/amd64"; the images are "v1 linux/arm64/v8"`},
		"one, of another tag":        {[]object{v1}, "v9", `there is not exactly one image "v9"; the images are "v1 linux/arm64/v8"`},
		"one, of another digest":     {[]object{v1}, zeros, `there is not exactly one image "` + zeros + `"; the images are "v1 linux/arm64/v8"`},
		"one, of no name":            {[]object{plain}, "nonsense", `there is not exactly one image "nonsense"; the images are "linux/arm64/v8"`},
		"one that is told":           {[]object{amd}, "linux/arm64", `there is not exactly one image "linux/arm64"; the images are "linux/amd64"`},
		"no configuration, no name":  {[]object{b.image(layer("bare"))}, "v1", `there is not exactly one image "v1"; the images are "` + b.image(layer("bare"))["digest"].(string) + `"`},
		"two, by the tag of a name":  {[]object{v1, v2}, "v2", "amd64"},
		"two, by the whole name":     {[]object{v1, v2}, "example.com/x/vm:v2", "amd64"},
		"two, without the host":      {[]object{v1, v2}, "x/vm:v2", "amd64"},
		"two, by a part of a name":   {[]object{v1, v2}, "m:v2", `there is not exactly one image "m:v2"; the images are "v1", "example.com/x/vm:v2 linux/amd64"`},
		"two, by another's tag":      {[]object{v1, v2}, "2", `there is not exactly one image "2"; the images are "v1", "example.com/x/vm:v2 linux/amd64"`},
		"two of a platform":          {[]object{arm, with(maps.Clone(amd), "platform", with(platform("linux", "arm64"), "variant", "v9"))}, "linux/arm64", `there is not exactly one image "linux/arm64"; the images are "linux/arm64/v8", "linux/arm64/v9"`},
		"nested, by tag":             {[]object{built}, "v3", "amd64"},
		"nested, by another tag":     {[]object{built}, "v1", `there is not exactly one image "v1"; the images are "linux/amd64"`},
		"nested, the tag of several": {[]object{nested}, "v1", `there is not exactly one image "v1"; the images are "linux/amd64", "linux/arm64/v8"`},
		"selected, no image":         {nil, "v1", "there is no image in the index"},
		"the only one":               {[]object{amd, attestation}, "", "amd64"},
		"the only one, twice":        {[]object{amd, amd}, "", "amd64"},
		"another is selected":        {[]object{amd, arm}, "linux/s390x", `there is not exactly one image "linux/s390x"; the images are "linux/amd64", "linux/arm64/v8"`},
		"by platform":                {[]object{amd, arm}, "linux/arm64/v8", "arm64"},
		"by digest":                  {[]object{amd, arm}, arm["digest"].(string), "arm64"},
		"nested":                     {[]object{nested}, "linux/amd64", "amd64"},
		"none of two":                {[]object{amd, arm}, "", `there are 2 images: "linux/amd64", "linux/arm64/v8"`},
		"none of two in an one":      {[]object{nested}, "", `there are 2 images: "linux/amd64", "linux/arm64/v8"`},
		"none":                       {nil, "", "there is no image in the index"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			a, err := openImage(b.tar(t, test.images...), test.image)
			if err == nil {
				got, err = content(t, a, "")
			}
			if err != nil {
				if got = err.Error(); !errors.Is(err, ErrImage) {
					t.Errorf("%v does not match ErrImage", err)
				}
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestDockerChoice selects images of a Docker archive.
func TestDockerChoice(t *testing.T) {
	archive := func(tags ...string) ([]byte, string) {
		var files []file
		var images []object
		id := ""
		for i, tag := range tags {
			layer := string(tarOf(t, file{name: "disk/d.img", data: tag}))
			config := fmt.Sprintf(`{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:%x"]}}`, sha256.Sum256([]byte(layer)))
			id = fmt.Sprintf("%x", sha256.Sum256([]byte(config)))
			name := fmt.Sprintf("%d.tar", i)
			images = append(images, object{"Config": id + ".json", "RepoTags": []string{tag}, "Layers": []string{name}})
			files = append(files, file{name: id + ".json", data: config}, file{name: name, data: layer})
		}
		return tarOf(t, append(files, file{name: "manifest.json", data: (&imageBuilder{}).json(images)})...), "sha256:" + id
	}
	one, id := archive("x/vm:v1")
	two, second := archive("x/vm:v1", "x/vm:v2")
	for _, test := range []struct {
		b           []byte
		image, want string
	}{
		{one, "", "x/vm:v1"}, {one, "x/vm:v1", "x/vm:v1"}, {one, "v1", "x/vm:v1"}, {one, id, "x/vm:v1"}, {one, "linux/amd64", "x/vm:v1"},
		{one, "linux/arm64", `there is not exactly one image "linux/arm64"; the images are "x/vm:v1 linux/amd64"`},
		{one, "v9", `there is not exactly one image "v9"; the images are "x/vm:v1 linux/amd64"`},
		{one, second, `there is not exactly one image "` + second + `"; the images are "x/vm:v1 linux/amd64"`},
		{two, "v2", "x/vm:v2"}, {two, second, "x/vm:v2"}, {two, "", `there are 2 images: "x/vm:v1", "x/vm:v2"`},
		{two, "v9", `there is not exactly one image "v9"; the images are "x/vm:v1", "x/vm:v2"`},
	} {
		a, err := openImage(test.b, test.image)
		got := ""
		if err == nil {
			got, err = content(t, a, "")
		}
		if err != nil {
			got = err.Error()
		}
		if got != test.want || err != nil && !errors.Is(err, ErrImage) {
			t.Errorf("%q: %s, want %s", test.image, got, test.want)
		}
	}
}

func TestHostileImages(t *testing.T) {
	layer := string(tarOf(t, file{name: "disk/d.img", data: "x"}))
	var b imageBuilder
	good := b.image(layer)
	index := func(text string) []byte {
		files := append([]file{{name: "oci-layout"}, {name: "index.json", data: text}}, b.files...)
		return tarOf(t, files...)
	}
	manifest := func(text string) []byte {
		m := imageBuilder{files: b.files}
		d := m.descriptor(text)
		return m.tar(t, d)
	}
	digest := func(d string) []byte {
		return index(fmt.Sprintf(`{"manifests":[{"digest":%q,"size":1}]}`, d))
	}
	loop := object{"digest": good["digest"], "size": 1}
	tests := map[string]struct {
		b    []byte
		want string
	}{
		"no JSON":                 {index("x"), "want JSON"},
		"a list":                  {index("[]"), "want JSON"},
		"deep":                    {index(strings.Repeat("[", 100_000)), "want JSON"},
		"long":                    {index(strings.Repeat(" ", maxJSON+1)), "size at offset 0 is 4194305"},
		"outside":                 {digest("sha256:../../../../etc/passwd"), "digest"},
		"another algorithm":       {digest("md5:d41d8cd98f00b204e9800998ecf8427e"), "digest"},
		"weak":                    {digest("sha1:" + strings.Repeat("0", 40)), "digest"},
		"in capitals":             {digest("sha256:" + strings.Repeat("A", 64)), "digest"},
		"not there":               {digest("sha256:" + strings.Repeat("0", 64)), "is missing"},
		"of another size":         {b.tar(t, loop), "as in the descriptor"},
		"a negative size":         {b.tar(t, object{"digest": good["digest"], "size": -1}), "as in the descriptor"},
		"many images":             {index(`{"manifests":[` + strings.Repeat("{},", 5000) + "{}]}"), "number of images"},
		"many layers":             {manifest(`{"layers":[` + strings.Repeat("{},", 200) + "{}]}"), "number of layers"},
		"manifests no list":       {manifest(`{"manifests":1}`), "want a list"},
		"layer is not an archive": {b.tar(t, b.image(string(make([]byte, 511))+"x")), "gzip: invalid header"},
		"changed manifest":        {bytes.Replace(b.tar(t, good), []byte(`"layers":[`), []byte(`"Layers":[`), 1), "is damaged or was changed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			imagetest.Bounded(t, 64<<20, func() {
				_, err := openImage(test.b, "")
				if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 1000 {
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		})
	}
	// An index cannot contain itself, because that changes its digest. It can contain another index.
	d := good
	for range maxNested + 2 {
		d = b.descriptor(b.json(object{"manifests": []object{d}}))
	}
	if _, err := openImage(b.tar(t, d), ""); err == nil || !strings.Contains(err.Error(), "levels of indexes") {
		t.Error(err)
	}
	changed := bytes.Replace(b.tar(t, good), []byte("disk/d.img"), []byte("disk/e.img"), 1)
	setSum(changed[bytes.Index(changed, []byte("disk/e.img")):][:blockSize])
	if _, err := content(t, must(openImage(changed, "")), ""); !errors.Is(err, ErrSum) {
		t.Errorf("a changed layer: %v", err)
	}
	if _, err := open(b.tar(t, b.image(gzipOf([]byte(layer))))); !errors.Is(err, image.ErrUnsupported) {
		t.Errorf("a compressed layer without Unpack: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
