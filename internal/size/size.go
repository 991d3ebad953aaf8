// Package size formats numbers of bytes for people.
package size

import "fmt"

// Text formats a number of bytes in powers of 1000: "1.5 GB".
func Text(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for ; f >= 999.95 && i < 5; i++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTPE"[i])
}

// Binary formats a number of bytes in powers of 1024: "1.5 GiB". It prints at most four significant
// digits.
func Binary(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for ; f >= 1023.5 && i < 5; i++ {
		f /= 1024
	}
	return fmt.Sprintf("%.4g %ciB", f, "KMGTPE"[i])
}
