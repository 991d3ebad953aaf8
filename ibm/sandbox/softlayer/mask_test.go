package softlayer

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	o := object{
		"id": 1, "name": "n", "status": object{"name": "Active", "keyName": "ACTIVE"},
		"children": []object{{"id": 2, "datacenter": object{"name": "dal13", "id": 3}}}, "transaction": nil,
	}
	for text, want := range map[string]string{
		"":                                   `{"id":1,"name":"n","transaction":null}`,
		"id":                                 `{"id":1}`,
		"mask[id,status]":                    `{"id":1,"status":{"keyName":"ACTIVE","name":"Active"}}`,
		"mask[id,status[name]]":              `{"id":1,"status":{"name":"Active"}}`,
		"mask[status[name],id]":              `{"id":1,"status":{"name":"Active"}}`,
		"id,children.datacenter.id":          `{"children":[{"datacenter":{"id":3},"id":2}],"id":1}`,
		"id,status.name,children.datacenter": `{"children":[{"datacenter":{"id":3,"name":"dal13"},"id":2}],"id":1,"status":{"name":"Active"}}`,
		// A mask without local properties selects all of them.
		"mask.status.name": `{"id":1,"name":"n","status":{"name":"Active"},"transaction":null}`,
		"mask[ children[ id , datacenter[name] ], id ]": `{"children":[{"datacenter":{"name":"dal13"},"id":2}],"id":1}`,
		"mask[transaction[id],none]":                    `{"transaction":null}`,
	} {
		m, err := parseMask(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got, err := json.Marshal(m.apply(o))
		if err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"a[", "a]", "mask[a]]", strings.Repeat("a[", 100) + strings.Repeat("]", 100)} {
		if _, err := parseMask(text); err == nil {
			t.Errorf("%.20q accepted", text)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("mask[id,status[name],children[datacenter.name]]")
	f.Add("a.b.c,[[],]")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMask(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(m.apply(object{"id": 1, "a": object{"b": []object{{"c": 1}}}})); err != nil {
			t.Fatal(err)
		}
	})
}
