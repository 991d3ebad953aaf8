package softlayer

import "testing"

func TestFilter(t *testing.T) {
	list := []object{
		{"id": 1, "name": "web", "on": true, "datacenter": object{"name": "dal13"}, "regions": []object{{"keyname": "DALLAS13"}}},
		{"id": 2, "name": "web2", "on": false, "datacenter": object{"name": "fra02"}, "regions": []object{{"keyname": "FRANKFURT02"}, {"keyname": "EU"}}},
	}
	for text, want := range map[string][]int{
		``: {1, 2},
		`{"all":{"name":{"operation":"_= WEB"}}}`:                                         {1},
		`{"all":{"name":{"operation":"web"}}}`:                                            {1},
		`{"all":{"name":{"operation":"^= web"}}}`:                                         {1, 2},
		`{"all":{"name":{"operation":"$= 2"}}}`:                                           {2},
		`{"all":{"name":{"operation":"*= eb"}}}`:                                          {1, 2},
		`{"all":{"name":{"operation":"!= web"}}}`:                                         {2},
		`{"all":{"id":{"operation":2}}}`:                                                  {2},
		`{"all":{"on":{"operation":false}}}`:                                              {2},
		`{"all":{"datacenter":{"name":{"operation":"dal13"}}}}`:                           {1},
		`{"all":{"regions":{"keyname":{"operation":"eu"}}}}`:                              {2},
		`{"all":{"none":{"operation":"x"}}}`:                                              nil,
		`{"all":{"none":{"name":{"operation":"x"}}}}`:                                     nil,
		`{"all":{"name":{"operation":"in","options":[{"name":"data","value":["web"]}]}}}`: {1},
		`{"all":{"name":{"operation":"orderBy"}}}`:                                        {1, 2},
		`{"other":{"name":{"operation":"x"}}}`:                                            {1, 2},
	} {
		got, err := filter(list, text, "all")
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %v, %v", text, got, err)
			continue
		}
		for i := range got {
			if got[i]["id"] != want[i] {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	if got, err := filter(list, `{"name":{"operation":"web2"}}`, ""); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := filter(list, "[", ""); err == nil {
		t.Error("filter with invalid JSON accepted")
	}
}
