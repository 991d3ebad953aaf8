package luks

import (
	"encoding/json"
	"slices"
	"strconv"
)

// metadata is the JSON object of a LUKS2 header, as parseJSON returns it, for changes. It was validated
// as a whole, so all required members exist. Unknown members are kept.
type metadata map[string]any

// objects returns the object that holds the numbered objects: "keyslots", "tokens", "digests".
func (m metadata) objects(name string) map[string]any { return m[name].(map[string]any) }

// set stores an object under a number.
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

// free returns the first unused number, or -1.
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

// removeSlot removes a key slot, and its number from all digests and tokens.
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
