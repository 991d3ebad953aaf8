package softlayer

import (
	"errors"
	"strings"
)

// A mask selects the properties of an object in a response: objectMask of the API,
// "id,status[name],children[datacenter.name]". A local property is one that is not an object. A mask that
// names no local property also selects all of them: slcli requests "mask[prices]" of presets and reads their
// keyName.
type mask map[string]mask

// maxMaskDepth limits the nesting of masks.
const maxMaskDepth = 16

func parseMask(s string) (mask, error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "mask"); ok && (rest == "" || rest[0] == '[') {
		s = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	} else if ok && rest[0] == '.' {
		s = rest[1:]
	}
	root := mask{}
	stack := []mask{root} // the masks of the open brackets
	at := root            // receives the next name
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

// object is an object of the API. Its values are strings, numbers, booleans, objects and lists.
type object map[string]any

// embedded is an object that is always included in its parent, like a local property: slcli reads the category of
// an item without requesting it.
type embedded object

// apply returns the part of v that the mask selects. It omits unset properties.
func (m mask) apply(v any) any {
	switch v := v.(type) {
	case embedded:
		return map[string]any(v)
	case []object:
		out := make([]any, 0, len(v))
		for _, o := range v {
			out = append(out, m.apply(o))
		}
		return out
	case object:
		out := object{}
		all := true
		for name := range m {
			if x, ok := v[name]; ok && local(x) {
				all = false
			}
		}
		for name, x := range v {
			below, asked := m[name]
			switch {
			case asked:
				out[name] = below.apply(x)
			case all && local(x):
				out[name] = mask(nil).apply(x)
			}
		}
		return out
	}
	return v
}

// local reports whether v is a local property rather than another object.
func local(v any) bool {
	switch v.(type) {
	case object, []object:
		return false
	}
	return true
}
