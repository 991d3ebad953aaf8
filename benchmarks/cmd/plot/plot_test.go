package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

const sample = `go: go1.26
cpu: Some <CPU>
BenchmarkXTS/op=enc/key=512/sector=512/buffer=64KiB/threads=1/impl=luksimg-a 1 1.0 ns/op 14000.00 MB/s
BenchmarkXTS/op=enc/key=512/sector=4096/buffer=64KiB/threads=1/impl=luksimg-a 1 1.0 ns/op 16000.00 MB/s
BenchmarkXTS/op=enc/key=512/sector=512/buffer=64KiB/threads=1/impl=x-crypto 1 1.0 ns/op 470.00 MB/s
BenchmarkXTS/op=dec/key=512/sector=512/buffer=64KiB/threads=1/impl=hidden 1 1.0 ns/op 470.00 MB/s
`

func TestDraw(t *testing.T) {
	r, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(strings.ReplaceAll(sample, "Some <CPU>", "Other"))
	if err != nil {
		t.Fatal(err)
	}
	svg := draw([]*results{r, second})
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{">luksimg-a<", ">14.0<", ">16.0<", ">0.47<", "Some &lt;CPU&gt;", ">Other, "} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in the plot", want)
		}
	}
	if strings.Contains(svg, "hidden") {
		t.Error("the plot shows results of other settings")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "cpu: x\n", "BenchmarkXTS/op=enc 1 2 ns/op\n"} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
