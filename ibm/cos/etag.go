package cos

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// parseETag parses an ETag that is an MD5 sum, or an MD5 sum of the MD5 sums of parts. In the first case parts is 0.
// ok is false for all other ETags.
func parseETag(etag string) (sum []byte, parts int64, ok bool) {
	text, number, composite := strings.Cut(etag, "-")
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 16 {
		return nil, 0, false
	}
	if composite {
		parts, err = strconv.ParseInt(number, 10, 32)
		if err != nil || parts < 1 || parts > MaxParts {
			return nil, 0, false
		}
	}
	return sum, parts, true
}
