// Package members checks the members of JSON objects. encoding/json accepts names in any case, and
// merges members with the same name. The check ensures that two readers of a file see the same values.
package members

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Rules say which JSON is an error, in addition to duplicate members.
type Rules struct {
	Depth     int  // maximum nesting of objects and arrays
	LowerCase bool // names must be in lower case
	NoNull    bool // null is an error
}

// Check reads one value from d. It returns an error if the value breaks a rule or is not JSON.
func (r Rules) Check(d *json.Decoder) error { return r.check(d, 0) }

func (r Rules) check(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil && r.NoNull {
		return errors.New("null is not allowed: omit the member")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == r.Depth {
		return errors.New("nested too deeply")
	}
	seen := make(map[string]bool)
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name := t.(string) // the decoder accepts only strings here
			lower := strings.ToLower(name)
			if r.LowerCase && name != lower {
				return fmt.Errorf("member %.40q is not in lower case", name)
			}
			if seen[lower] {
				return fmt.Errorf("member %.40q occurs twice", name)
			}
			seen[lower] = true
		}
		if err := r.check(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
