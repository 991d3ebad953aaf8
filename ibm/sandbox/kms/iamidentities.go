package kms

import (
	"encoding/json"
	"net/http"
	"slices"
)

func (s *Server) createServiceID(w http.ResponseWriter, r *http.Request, _ Identity) {
	var v serviceID
	if json.NewDecoder(r.Body).Decode(&v) != nil || v.Name == "" || v.AccountID != s.st.Account {
		iamError(w, http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.")
		return
	}
	v.ID = "ServiceId-" + newID()
	v.IAMID = "iam-" + v.ID
	v.CRN = "crn:v1:bluemix:public:iam-identity::a/" + v.AccountID + "::serviceid:" + v.ID
	v.EntityTag, v.CreatedAt, v.Locked = "1-"+randomHex(16), s.stamp(), false
	v.ModifiedAt = v.CreatedAt
	with := v.APIKey
	v.APIKey = nil
	s.st.ServiceIDs = append(s.st.ServiceIDs, v)
	if with != nil && with.Name != "" {
		k := s.addKey(v.IAMID, with.Name, with.Description)
		v.APIKey = &k
	}
	writeJSON(w, http.StatusCreated, v)
}

func (s *Server) listServiceIDs(w http.ResponseWriter, r *http.Request, _ Identity) {
	q := r.URL.Query()
	list := slices.DeleteFunc(slices.Clone(s.st.ServiceIDs), func(v serviceID) bool {
		return v.AccountID != q.Get("account_id") || q.Get("name") != "" && v.Name != q.Get("name")
	})
	page, next := paged(r, list)
	writeJSON(w, http.StatusOK, map[string]any{"offset": 0, "limit": len(page), "next": next, "serviceids": page})
}

func (s *Server) createAPIKey(w http.ResponseWriter, r *http.Request, _ Identity) {
	var v apiKey
	if json.NewDecoder(r.Body).Decode(&v) != nil || v.Name == "" || v.IAMID == "" {
		iamError(w, http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.")
		return
	}
	if _, ok := s.identity(v.IAMID); !ok {
		iamError(w, http.StatusNotFound, "BXNIM0104E", "IAM ID could not be found.")
		return
	}
	writeJSON(w, http.StatusCreated, s.addKey(v.IAMID, v.Name, v.Description))
}

func (s *Server) addKey(iamID, name, description string) apiKey {
	k := apiKey{ID: "ApiKey-" + newID(), EntityTag: "1-" + randomHex(16), CreatedAt: s.stamp(), Name: name, Description: description,
		IAMID: iamID, AccountID: s.st.Account, Value: randomHex(22)}
	k.CRN = "crn:v1:bluemix:public:iam-identity::a/" + k.AccountID + "::apikey:" + k.ID
	s.st.APIKeys = append(s.st.APIKeys, k)
	return k
}

func (s *Server) listAPIKeys(w http.ResponseWriter, r *http.Request, _ Identity) {
	q := r.URL.Query()
	list := slices.DeleteFunc(slices.Clone(s.st.APIKeys), func(k apiKey) bool {
		return q.Get("account_id") != "" && k.AccountID != q.Get("account_id") || q.Get("iam_id") != "" && k.IAMID != q.Get("iam_id")
	})
	for i := range list {
		list[i].Value = "" // shown only on creation
	}
	page, next := paged(r, list)
	writeJSON(w, http.StatusOK, map[string]any{"offset": 0, "limit": len(page), "next": next, "apikeys": page})
}

func (s *Server) apiKeyDetails(w http.ResponseWriter, r *http.Request, _ Identity) {
	for _, k := range s.st.APIKeys {
		if k.Value == r.Header.Get("IAM-Apikey") {
			k.Value = ""
			writeJSON(w, http.StatusOK, k)
			return
		}
	}
	iamError(w, http.StatusNotFound, "BXNIM0415E", "Provided API key could not be found.")
}

// serviceIDs and apiKeys serve one service ID or API key, by its ID.
func (s *Server) serviceIDs(w http.ResponseWriter, r *http.Request, _ Identity) {
	i := slices.IndexFunc(s.st.ServiceIDs, func(v serviceID) bool { return v.ID == r.PathValue("id") })
	if i < 0 {
		iamError(w, http.StatusNotFound, "BXNIM0104E", "Service ID not found.")
		return
	}
	v := &s.st.ServiceIDs[i]
	if !s.edit(w, r, entity{&v.Name, &v.Description, &v.EntityTag, &v.ModifiedAt, &v.Locked}) {
		return
	}
	if r.Method == http.MethodDelete && r.PathValue("part") == "" {
		iamID := v.IAMID
		s.st.APIKeys = without(s.st.APIKeys, func(k apiKey) bool { return k.IAMID == iamID })
		s.st.ServiceIDs = without(s.st.ServiceIDs, func(v serviceID) bool { return v.IAMID == iamID })
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, http.StatusOK, *v)
}

func (s *Server) apiKeys(w http.ResponseWriter, r *http.Request, _ Identity) {
	i := slices.IndexFunc(s.st.APIKeys, func(k apiKey) bool { return k.ID == r.PathValue("id") })
	if i < 0 {
		iamError(w, http.StatusNotFound, "BXNIM0104E", "API key not found.")
		return
	}
	k := &s.st.APIKeys[i]
	if !s.edit(w, r, entity{&k.Name, &k.Description, &k.EntityTag, &k.ModifiedAt, &k.Locked}) {
		return
	}
	switch part := r.PathValue("part"); {
	case part == "disable":
		k.Disabled = r.Method == http.MethodPost
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method == http.MethodDelete && part == "":
		id := k.ID
		s.st.APIKeys = without(s.st.APIKeys, func(k apiKey) bool { return k.ID == id })
		w.WriteHeader(http.StatusNoContent)
		return
	}
	shown := *k
	shown.Value = ""
	writeJSON(w, http.StatusOK, shown)
}

// entity is the common part of service IDs and API keys.
type entity struct {
	name, description, tag, modified *string
	locked                           *bool
}

// edit serves all changes of an entity except deletion. A PUT changes its name and
// description; a lock prevents changes. If the request is invalid, edit answers it and returns
// false.
func (s *Server) edit(w http.ResponseWriter, r *http.Request, e entity) bool {
	part := r.PathValue("part")
	switch {
	case part != "" && part != "lock" && part != "disable":
		iamError(w, http.StatusNotFound, "BXNIM0109E", "Resource not found.")
		return false
	case r.Method == http.MethodGet:
		return true
	case part == "lock":
		*e.locked = r.Method == http.MethodPost
	case *e.locked:
		iamError(w, http.StatusConflict, "BXNIM0447E", "The entity is locked.")
		return false
	case r.Method == http.MethodPut:
		if match := r.Header.Get("If-Match"); match != "*" && match != *e.tag {
			iamError(w, http.StatusConflict, "BXNIM0132E", "The entity was changed since it was read.")
			return false
		}
		var in struct{ Name, Description *string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Name != nil && *in.Name == "" {
			iamError(w, http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.")
			return false
		}
		if in.Name != nil {
			*e.name = *in.Name
		}
		if in.Description != nil {
			*e.description = *in.Description
		}
	}
	*e.tag, *e.modified = "2-"+randomHex(16), s.stamp()
	return true
}
