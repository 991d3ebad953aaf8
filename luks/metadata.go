package luks

import (
	"encoding/json"
	"slices"
	"strconv"
)

// metadata is the JSON object of a LUKS2 header, as parseJSON gives it, to be changed.
// It was checked as a whole, so what the specification asks for is there; what is not
// known here stays as it is.
type metadata map[string]any

// objects returns one of the objects of objects: "keyslots", "tokens", "digests".
func (m metadata) objects(name string) map[string]any { return m[name].(map[string]any) }

// set puts an object under a number.
func (m metadata) set(name string, n int, object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	tree, err := parseJSON(text)
	if err != nil {
		return err
	}
	m.objects(name)[strconv.Itoa(n)] = tree
	return nil
}

// free returns the first number that no object has, or -1.
func (m metadata) free(name string) int {
	for n := range maxObjects {
		if _, taken := m.objects(name)[strconv.Itoa(n)]; !taken {
			return n
		}
	}
	return -1
}

// bind adds a key slot to a digest.
func (m metadata) bind(digest, slot int) {
	d := m.objects("digests")[strconv.Itoa(digest)].(map[string]any)
	list, _ := d["keyslots"].([]any)
	if id := strconv.Itoa(slot); !slices.Contains(list, any(id)) {
		d["keyslots"] = append(list, id)
	}
}

// removeSlot takes a key slot out, and its number out of all digests and tokens.
func (m metadata) removeSlot(slot int) {
	id := strconv.Itoa(slot)
	delete(m.objects("keyslots"), id)
	for _, name := range []string{"digests", "tokens"} {
		for _, o := range m.objects(name) {
			o := o.(map[string]any)
			if list, ok := o["keyslots"].([]any); ok {
				o["keyslots"] = slices.DeleteFunc(list, func(v any) bool { return v == id })
			}
		}
	}
}
