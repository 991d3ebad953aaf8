package archive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

const (
	vmwareForm     = "SHA256(%s)= %x\n"
	virtualBoxForm = "SHA256 (%s) = %x\r\n"
)

func TestOVA(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(70_000, 1)}
	vbox := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	vmware := file{name: "vm.ovf", data: vmwareOVF(disk.name)}
	prefixed := file{name: "vm.ovf", data: strings.NewReplacer("<?", "<?", "<vbox", "<vbox", "</vbox", "</vbox", "</", "</ovf:", "<", "<ovf:").Replace(virtualBoxOVF(disk.name))}
	old := file{name: "vm.ovf", data: `<ovf:Envelope xmlns="http://www.vmware.com/schema/ovf/1/envelope" xmlns:ovf="http://www.vmware.com/schema/ovf/1/envelope" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<References><File ovf:href="vm-disk1.vmdk" ovf:id="file1" ovf:size="70000"/></References>
<Section xsi:type="ovf:DiskSection_Type"><Info/><Disk ovf:capacity="40000" ovf:capacityAllocationUnits="MegaBytes" ovf:diskId="d" ovf:fileRef="file1"/></Section></ovf:Envelope>`}
	const vboxSize = 41943040000
	tests := map[string]struct {
		files    []file
		capacity int64
		warning  string
	}{
		"VirtualBox":            {[]file{vbox, disk, {name: "vm.mf", data: manifestOf(virtualBoxForm, vbox, disk)}}, vboxSize, ""},
		"VMware":                {[]file{vmware, {name: "vm.mf", data: manifestOf(vmwareForm, vmware, disk)}, disk}, 8 << 30, ""},
		"all names prefixed":    {[]file{prefixed, disk}, vboxSize, ""},
		"before version 1":      {[]file{old, disk}, 40000 << 20, ""},
		"without a manifest":    {[]file{vbox, disk}, vboxSize, ""},
		"in a folder":           {[]file{{name: "a/", kind: '5'}, {name: "./a/vm.ovf", data: vbox.data}, {name: "./a/vm-disk1.vmdk", data: disk.data}, {name: "a/vm.mf", data: manifestOf(vmwareForm, vbox, disk)}}, vboxSize, ""},
		"descriptor last":       {[]file{disk, vbox}, vboxSize, ""},
		"escaped":               {[]file{{name: "vm.ovf", data: virtualBoxOVF("vm%20disk.vmdk")}, {name: "vm disk.vmdk", data: disk.data}}, vboxSize, ""},
		"signed":                {[]file{vbox, {name: "vm.cert", data: "x"}, disk}, vboxSize, "is signed"},
		"of another length":     {[]file{{name: "vm.ovf", data: strings.Replace(old.data, "70000", "70001", 1)}, disk}, 40000 << 20, "70001 according to the descriptor"},
		"not in the manifest":   {[]file{vbox, disk, {name: "vm.mf", data: manifestOf(vmwareForm, vbox)}}, vboxSize, "has no digest of"},
		"capacity is an option": {[]file{{name: "vm.ovf", data: strings.Replace(vbox.data, "41943040000", "${disk.size}", 1)}, disk}, 0, ""},
		"with an empty disk":    {[]file{{name: "vm.ovf", data: strings.Replace(vbox.data, "</DiskSection>", `<Disk ovf:diskId="new" ovf:capacity="1"/></DiskSection>`, 1)}, disk}, vboxSize, ""},
		"of macOS":              {[]file{{name: "._vm.ovf", data: "x"}, vbox, {name: "._vm-disk1.vmdk", data: "x"}, disk}, vboxSize, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := opened(t, tarOf(t, test.files...))
			if a.Kind != OVA || len(a.Disks) != 1 || a.Disks[0].Capacity != test.capacity || a.Disks[0].Size != 70_000 {
				t.Fatalf("%s with %+v", a.Kind, a.Disks)
			}
			if got := strings.Join(a.Warnings, "\n"); test.warning == "" && got != "" || !strings.Contains(got, test.warning) {
				t.Errorf("warnings: %q, want %q", got, test.warning)
			}
			for _, name := range []string{"", a.Disks[0].Name, "./" + a.Disks[0].Name} {
				if got, err := content(t, a, name); err != nil || got != disk.data {
					t.Errorf("disk %q: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
}

func TestManifestIsChecked(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(70_000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	changed := func(f file) file {
		return file{name: f.name, data: strings.Replace(f.data, f.data[60_000%len(f.data)-8:60_000%len(f.data)], "abcdefgh", 1)}
	}
	for name, sums := range map[string]string{
		"SHA-1":   fmt.Sprintf("SHA1(vm-disk1.vmdk)= %040x\n", 1),
		"SHA-256": manifestOf(vmwareForm, ovf, changed(disk)),
		"SHA-512": fmt.Sprintf("SHA512(vm-disk1.vmdk)= %0128x\n", 1),
		// The strongest digest is used.
		"two":   fmt.Sprintf("SHA1(vm-disk1.vmdk)= %040x\n", 1) + manifestOf(vmwareForm, changed(disk)),
		"other": "\n# a comment\n" + manifestOf(vmwareForm, changed(disk)),
	} {
		a := opened(t, tarOf(t, ovf, disk, file{name: "other.mf", data: sums}))
		var wrong *SumError
		if _, err := content(t, a, ""); !errors.Is(err, ErrSum) || !errors.As(err, &wrong) || wrong.Name != disk.name || wrong.Got == wrong.Want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(tarOf(t, ovf, disk, file{name: "vm.mf", data: manifestOf(vmwareForm, changed(ovf))})); !errors.Is(err, ErrSum) {
		t.Errorf("a changed descriptor: %v", err)
	}
	for _, bad := range []string{"x", "SHA256(a)= 12", "MD5(a)= d41d8cd98f00b204e9800998ecf8427e", "SHA256(a) " + strings.Repeat("0", 64), manifestOf(vmwareForm, disk, changed(disk)), "SHA256 a= " + strings.Repeat("0", 64), "(a)= 00", "SHA1)(= 00"} {
		_, err := open(tarOf(t, ovf, disk, file{name: "vm.mf", data: "SHA1(b)= " + strings.Repeat("0", 40) + "\n" + bad + "\n"}))
		imagetest.Refused(t, err, "manifest", "line", -1, "vm.mf: ")
	}
}

func TestSeveralDisks(t *testing.T) {
	one, two := file{name: "vm-disk1.vmdk", data: noise(5000, 1)}, file{name: "vm-disk2.vmdk", data: noise(6000, 2)}
	ovf := file{name: "vm.ovf", data: vmwareOVF(one.name, two.name)}
	a := opened(t, tarOf(t, ovf, one, two, file{name: "vm-file1.nvram", data: "nv"}, file{name: "vm.mf", data: manifestOf(vmwareForm, two)}))
	if len(a.Disks) != 2 || a.Disks[1].Capacity != 16<<30 || a.Disks[1].Digest == "" || a.Disks[0].Digest != "" {
		t.Errorf("%+v", a.Disks)
	}
	_, err := a.Disk("")
	var choice *ChoiceError
	if !errors.Is(err, ErrChoice) || !errors.As(err, &choice) || len(choice.Disks) != 2 || choice.Disks[0].Name != one.name || choice.Disks[1].Name != two.name {
		t.Errorf("no disk is named: %v", err)
	}
	_, err = opened(t, tarOf(t, ovf, one)).Disk("")
	if want := `"vm-disk1.vmdk", "vm-disk2.vmdk"; "vm-disk2.vmdk" is not in the archive`; !errors.Is(err, ErrChoice) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := a.Disk("vm-disk3.vmdk"); !errors.Is(err, ErrChoice) || !strings.Contains(err.Error(), `"vm-disk3.vmdk"`) || !strings.Contains(err.Error(), `"vm-disk2.vmdk"`) {
		t.Errorf("a missing disk: %v", err)
	}
	for _, want := range []file{one, two, {name: "vm-file1.nvram", data: "nv"}} {
		if got, err := content(t, a, want.name); err != nil || got != want.data {
			t.Errorf("%s: %d bytes, %v", want.name, len(got), err)
		}
	}
}

// TestDiskProblems uses disks that cannot be read. They must be listed, and refused when they are
// selected.
func TestDiskProblems(t *testing.T) {
	disk := file{name: "d.vmdk", data: noise(5000, 1)}
	ovf := func(fileAttr, diskAttr string) file {
		return file{name: "vm.ovf", data: `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References><File ovf:id="f" ` + fileAttr +
			`/></References><DiskSection><Disk ovf:capacity="1" ovf:fileRef="f" ovf:diskId="a" ` + diskAttr + `/></DiskSection></Envelope>`}
	}
	tests := map[string]struct {
		files []file
		want  string
	}{
		"missing":        {[]file{ovf(`ovf:href="other.vmdk"`, "")}, "is not in the archive"},
		"a URL":          {[]file{ovf(`ovf:href="https://example.com/d.vmdk"`, ""), {name: "https:/example.com/d.vmdk"}}, "is not in the archive"},
		"an absolute":    {[]file{ovf(`ovf:href="/d.vmdk"`, "")}, "is not in the archive"},
		"outside":        {[]file{ovf(`ovf:href="../../../etc/passwd"`, "")}, "is not in the archive"},
		"in pieces":      {[]file{ovf(`ovf:href="p.vmdk" ovf:chunkSize="2048"`, ""), {name: "p.vmdk.000000000", data: "x"}}, "is split into pieces"},
		"bzip2":          {[]file{ovf(`ovf:href="d.vmdk" ovf:compression="bzip2"`, "")}, `compressed by "bzip2"`},
		"a child":        {[]file{ovf(`ovf:href="d.vmdk"`, `ovf:parentRef="a"`)}, `needs its parent disk "a"`},
		"no file":        {[]file{{name: "vm.ovf", data: strings.Replace(ovf(`ovf:href="d.vmdk"`, "").data, `fileRef="f"`, `fileRef="g"`, 1)}}, "does not list"},
		"a link":         {[]file{ovf(`ovf:href="link.vmdk"`, ""), {name: "link.vmdk", kind: '2', link: "/etc/passwd"}}, "not a file"},
		"another's name": {[]file{ovf(`ovf:href="d.vmdk"`, ""), {name: "./d.vmdk", data: "another"}}, "no earlier member"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := open(tarOf(t, append(test.files, disk)...))
			if err == nil {
				if len(a.Disks) != 1 || a.Disks[0].Problem == "" {
					t.Fatalf("%+v", a.Disks)
				}
				_, err = a.Disk("")
				if !errors.Is(err, image.ErrUnsupported) {
					t.Errorf("%v does not match ErrUnsupported", err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestHostileOVF(t *testing.T) {
	head := `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">`
	disk := func(attr string) string { return head + `<DiskSection><Disk ` + attr + `/></DiskSection></Envelope>` }
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">` // billion laughs
	for i := 'b'; i <= 'k'; i++ {
		bomb += fmt.Sprintf(`<!ENTITY %c "%s">`, i, strings.Repeat(fmt.Sprintf("&%c;", i-1), 10))
	}
	bomb += "]>" + head + "<References>&k;</References></Envelope>"
	tests := map[string]struct{ text, field, want string }{
		"entity bomb":         {bomb, "document type definition", "want none"},
		"external entity":     {`<!DOCTYPE x SYSTEM "file:///etc/passwd">` + head + "</Envelope>", "document type definition", "want none"},
		"deep":                {head + strings.Repeat("<a>", 100_000), "depth", "at most 64"},
		"many disks":          {head + "<DiskSection>" + strings.Repeat("<Disk/>", 5000), "number of disks", "want less"},
		"many files":          {head + "<References>" + manyFiles(5000), "number of files", "want less"},
		"a file twice":        {head + `<References><File ovf:id="a"/><File ovf:id="a"/>`, "id of a file", "earlier"},
		"negative size":       {head + `<References><File ovf:id="a" ovf:size="-1"/>`, "size of a file", "-1"},
		"size too large":      {head + `<References><File ovf:id="a" ovf:size="9223372036854775808"/>`, "size of a file", "9223372036854775808"},
		"negative capacity":   {disk(`ovf:capacity="-8"`), "capacity", "-8"},
		"overflow":            {disk(`ovf:capacity="99999999999" ovf:capacityAllocationUnits="byte * 2^40"`), "capacity", "at most"},
		"overflow of unit":    {disk(`ovf:capacity="1" ovf:capacityAllocationUnits="byte * 10^60"`), "capacityAllocationUnits", "such as"},
		"unit of another":     {disk(`ovf:capacity="1" ovf:capacityAllocationUnits="hertz * 10^6"`), "capacityAllocationUnits", "hertz"},
		"another file":        {"<html></html>", "root element", "html"},
		"two roots":           {head + "</Envelope>" + head + "</Envelope>", "root element", "want one"},
		"empty":               {"", "root element", "missing"},
		"only a comment":      {"<!-- -->", "root element", "missing"},
		"capacity no number":  {disk(`ovf:capacity="x"`), "capacity", "number of bytes"},
		"unknown entity":      {head + "&x;</Envelope>", "-", "invalid character entity"},
		"ends early":          {head + "<References>", "-", "unexpected EOF"},
		"ends do not match":   {head + "<References></DiskSection></Envelope>", "-", "element"},
		"another encoding":    {`<?xml version="1.0" encoding="UTF-16"?>` + head + "</Envelope>", "-", "UTF-16"},
		"not UTF-8":           {head + "\xff</Envelope>", "-", "UTF-8"},
		"an attribute's bomb": {disk(`ovf:capacity="` + strings.Repeat("9", 1<<20) + `"`), "capacity", "number of bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			imagetest.Bounded(t, 32<<20, func() {
				_, err := parseOVF(strings.NewReader(test.text))
				if test.field != "-" {
					imagetest.Refused(t, err, "ovf", test.field, -1, test.want)
				} else if !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		})
	}
	_, err := open(tarOf(t, file{name: "a.ovf", data: strings.Repeat(" ", maxDescriptor+1)}))
	imagetest.Refused(t, err, "tar", "size of a.ovf", -1, "at most")
	_, err = open(tarOf(t, file{name: "a.ovf", data: head + "</Envelope>"}, file{name: "a.mf", data: strings.Repeat("\n", maxManifest+1)}))
	imagetest.Refused(t, err, "tar", "size of a.mf", -1, "at most")
	_, err = open(tarOf(t, file{name: "a.ovf"}, file{name: "b.ovf"}))
	imagetest.Refused(t, err, "", "", -1, "two descriptors")
	if _, err := content(t, opened(t, tarOf(t, file{name: "a.ovf", data: head + "</Envelope>"})), ""); !errors.Is(err, ErrChoice) {
		t.Errorf("no disk: %v", err)
	}
}

func manyFiles(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<File ovf:id="%d"/>`, i)
	}
	return b.String()
}
