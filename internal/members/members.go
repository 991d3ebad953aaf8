// Package members checks the members of JSON objects, which encoding/json takes in any case and merges
// if a name stands twice. Two readers of one file must not see two different values.
package members

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Rules say which JSON is refused, besides members that stand twice.
type Rules struct {
	Depth     int  // the number of objects and arrays within each other, at most
	LowerCase bool // names must be in lower case
	NoNull    bool // null is refused
}

// Check reads one value from d. It is an error if the value breaks a rule or is no JSON.
func (r Rules) Check(d *json.Decoder) error { return r.check(d, 0) }

func (r Rules) check(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil && r.NoNull {
		return errors.New("null is no rule: leave the member out")
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
			name := t.(string) // the decoder takes nothing else
			lower := strings.ToLower(name)
			if r.LowerCase && name != lower {
				return fmt.Errorf("member %.40q is not in lower case", name)
			}
			if seen[lower] {
				return fmt.Errorf("member %.40q stands twice", name)
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
