package softlayer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A mask tells which properties of an object an answer has: objectMask of the API,
// "id,status[name],children[datacenter.name]". An empty one below a name is all local
// properties: those that are not objects themselves.
type mask map[string]mask

// maxMaskDepth bounds how deep masks are nested.
const maxMaskDepth = 16

func parseMask(s string) (mask, error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "mask"); ok && (rest == "" || rest[0] == '[') {
		s = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	} else if ok && rest[0] == '.' {
		s = rest[1:]
	}
	root := mask{}
	stack := []mask{root} // that the brackets opened so far belong to
	at := root            // what a name is put into
	name := func(n string) {
		n = strings.TrimSpace(n)
		if n == "" {
			return
		}
		if at[n] == nil {
			at[n] = mask{}
		}
		at = at[n]
	}
	start := 0
	for i := range len(s) {
		switch s[i] {
		case '.':
			name(s[start:i])
			start = i + 1
		case ',':
			name(s[start:i])
			at, start = stack[len(stack)-1], i+1
		case '[':
			name(s[start:i])
			start = i + 1
			if stack = append(stack, at); len(stack) > maxMaskDepth {
				return nil, errors.New("objectMask is nested too deep")
			}
		case ']':
			name(s[start:i])
			start = i + 1
			if len(stack) == 1 {
				return nil, errors.New("objectMask has a ] too many")
			}
			stack = stack[:len(stack)-1]
			at = stack[len(stack)-1]
		}
	}
	name(s[start:])
	if len(stack) != 1 {
		return nil, errors.New("objectMask has a [ too many")
	}
	return root, nil
}

// object is an object of the API: strings, numbers, booleans, objects and lists.
type object map[string]any

// apply returns what the mask leaves of v. Properties that are not set are left out.
func (m mask) apply(v any) any {
	switch v := v.(type) {
	case []object:
		out := make([]any, 0, len(v))
		for _, o := range v {
			out = append(out, m.apply(o))
		}
		return out
	case object:
		out := object{}
		for name, x := range v {
			below, asked := m[name]
			switch {
			case asked:
				out[name] = below.apply(x)
			case len(m) == 0 && local(x):
				out[name] = x
			}
		}
		return out
	}
	return v
}

// local tells whether a property belongs to the object itself.
func local(v any) bool {
	switch v.(type) {
	case object, []object:
		return false
	}
	return true
}

// filter returns those of list that the objectFilter of a request names: equal
// values of properties, {"COLLECTION":{"name":{"operation":"_= x"}}}.
func filter(list []object, text, collection string) ([]object, error) {
	if text == "" {
		return list, nil
	}
	var f map[string]map[string]struct {
		Operation any `json:"operation"`
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil, errors.New("objectFilter is not understood")
	}
	var out []object
	for _, o := range list {
		keep := true
		for name, c := range f[collection] {
			want := strings.TrimSpace(strings.TrimPrefix(fmt.Sprint(c.Operation), "_="))
			if !strings.EqualFold(fmt.Sprint(o[name]), want) {
				keep = false
			}
		}
		if keep {
			out = append(out, o)
		}
	}
	return out, nil
}
