package softlayer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// filter returns the objects of list that match the objectFilter text, {"COLLECTION":{"name":{"operation":"_= x"}}}.
// If collection is "", text is only the part below COLLECTION. The supported operations are _= (equal), ^= (begins
// with), $= (ends with), *= (contains), != and in. Other operations select nothing.
func filter(list []object, text, collection string) ([]object, error) {
	if text == "" {
		return list, nil
	}
	var f map[string]any
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil, errors.New("objectFilter is not understood")
	}
	if collection != "" {
		f, _ = f[collection].(map[string]any)
	}
	return slices.DeleteFunc(slices.Clone(list), func(o object) bool { return !matches(f, o) }), nil
}

// matches reports whether a value, or an element of a list, has the properties required by a filter.
func matches(f map[string]any, v any) bool {
	switch v := v.(type) {
	case []object:
		return slices.ContainsFunc(v, func(o object) bool { return matches(f, o) })
	case object:
		for name, x := range f {
			below, ok := x.(map[string]any)
			if !ok {
				continue
			}
			if _, ok := below["operation"]; ok {
				if !operate(below, v[name]) {
					return false
				}
			} else if !matches(below, v[name]) {
				return false
			}
		}
		return true
	}
	return len(f) == 0
}

// operate applies one operation to a value.
func operate(f map[string]any, value any) bool {
	got, operation := strings.ToLower(fmt.Sprint(value)), strings.ToLower(strings.TrimSpace(fmt.Sprint(f["operation"])))
	switch {
	case operation == "orderby":
		return true
	case operation == "in":
		options, _ := f["options"].([]any)
		for _, o := range options {
			o, _ := o.(map[string]any)
			values, _ := o["value"].([]any)
			if slices.ContainsFunc(values, func(x any) bool { return strings.EqualFold(fmt.Sprint(x), got) }) {
				return true
			}
		}
		return false
	}
	for prefix, compare := range map[string]func(s, x string) bool{
		"^=": strings.HasPrefix, "$=": strings.HasSuffix, "*=": strings.Contains, "!=": func(s, x string) bool { return s != x },
	} {
		if x, ok := strings.CutPrefix(operation, prefix); ok {
			return compare(got, strings.TrimSpace(x))
		}
	}
	return got == strings.TrimSpace(strings.TrimPrefix(operation, "_="))
}
