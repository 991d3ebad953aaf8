// Package size writes numbers of bytes for people.
package size

import "fmt"

// Text is a number of bytes in powers of 1000: "1.5 GB".
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
