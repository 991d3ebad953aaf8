package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

const sample = `cpu: Some <CPU>
cpus: 2
luksimg: luksimg v1
luksimg: AES-XTS by x
BenchmarkJob/job=raw-luks1/impl=luksimg 1 500000000 ns/op 100000000 fixed-ns 400000000 net-ns 2500.0 MB/s 8000000 RSS-bytes
BenchmarkJob/job=raw-luks1/impl=luksimg 1 300000000 ns/op 100000000 fixed-ns 200000000 net-ns 5000.0 MB/s 9000000 RSS-bytes
BenchmarkJob/job=raw-luks1/impl=luksimg 1 900000000 ns/op 100000000 fixed-ns 800000000 net-ns 1250.0 MB/s 7000000 RSS-bytes
BenchmarkJob/job=raw-luks1/impl=cat 1 500000000 ns/op 0 fixed-ns 500000000 net-ns 2000.0 MB/s 2000000 RSS-bytes
BenchmarkJob/job=durable/impl=cat+sync 1 700000000 ns/op 0 fixed-ns 700000000 net-ns 1000.0 MB/s 2000000 RSS-bytes
BenchmarkJob/job=sweep-64MiB/impl=luksimg 1 100000000 ns/op 0 fixed-ns 100000000 net-ns 671.1 MB/s 9000000 RSS-bytes
BenchmarkJob/job=sweep-4096MiB/impl=luksimg 1 2000000000 ns/op 0 fixed-ns 2000000000 net-ns 2147.5 MB/s 9500000 RSS-bytes
# raw-luks1 luksimg net: 0.4
`

func TestResults(t *testing.T) {
	r, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if r.head["cpu"] != "Some <CPU>" || r.head["luksimg"] != "luksimg v1" {
		t.Errorf("head: %v", r.head)
	}
	i := r.job("raw-luks1").find("luksimg")
	if i.seconds() != 0.4 || i.rss != 9000000 || i.rate < 2499 || i.rate > 2501 {
		t.Errorf("%+v, median %v", i, i.seconds())
	}
	if got := table(r); !strings.Contains(got, "| raw to LUKS1 | 0.40 |  |") || !strings.Contains(got, "| 0.50 |") {
		t.Errorf("table:\n%s", got)
	}
	for _, want := range []string{"| 64 MiB | 0.10 | 0.7 | 9 |\n| 4 GiB | 2.00 | 2.1 | 9 |\n", "synced |  |  |  |  |  |  |  |  |  | 0.70 |"} {
		if got := table(r); !strings.Contains(got, want) {
			t.Errorf("no %q in the table:\n%s", want, got)
		}
	}
	d := xml.NewDecoder(strings.NewReader(draw(r)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "BenchmarkJob/job=x/impl=y 1 2 ns/op", strings.Replace(sample, "2500.0", "x", 1)} {
		if _, err := parse(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestReplace(t *testing.T) {
	page := "a\n" + begin + "old\n" + end + "b\n"
	got, err := replace(page, "new\n")
	if err != nil || got != "a\n"+begin+"new\n"+end+"b\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := replace("no place", "x"); err == nil {
		t.Error("no error for a page without markers")
	}
}
