package flags

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is the value of a flag: a number of bytes in the syntax of qemu-img, such as 4096 or 64k.
type Size struct{ N int64 }

// Type is what the help calls the value.
func (s *Size) Type() string { return "BYTES" }

func (s *Size) String() string { return strconv.FormatInt(s.N, 10) }

// Set parses a value of the flag.
func (s *Size) Set(text string) error {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("kmgtp", text[n-1]|0x20); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n<<shift>>shift != n {
		return fmt.Errorf("want a number of bytes, with k, M, G or T for powers of 1024")
	}
	s.N = n << shift
	return nil
}
