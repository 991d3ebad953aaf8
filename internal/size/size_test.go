package size

import "testing"

func TestText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999949: "999.9 kB", 999950: "1.0 MB", 1 << 40: "1.1 TB"} {
		if got := Text(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestBinary(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1 MiB", 1<<20 - 1024: "1023 KiB", 16 << 20: "16 MiB", 1<<62 + 1<<61: "6 EiB"} {
		if got := Binary(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
