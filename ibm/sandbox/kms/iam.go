package kms

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

const grantAPIKey = "urn:ibm:params:oauth:grant-type:apikey"

// Shapes of IAM's JSON.
type (
	serviceID struct {
		ID          string `json:"id"`
		IAMID       string `json:"iam_id"`
		EntityTag   string `json:"entity_tag"`
		CRN         string `json:"crn"`
		Locked      bool   `json:"locked"`
		CreatedAt   string `json:"created_at"`
		ModifiedAt  string `json:"modified_at"`
		AccountID   string `json:"account_id"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	apiKey struct {
		ID          string `json:"id"`
		EntityTag   string `json:"entity_tag"`
		CRN         string `json:"crn"`
		Locked      bool   `json:"locked"`
		CreatedAt   string `json:"created_at"`
		Name        string `json:"name"`
		Description string `json:"description"`
		IAMID       string `json:"iam_id"`
		AccountID   string `json:"account_id"`
		Value       string `json:"apikey"`
	}
	policy struct {
		ID          string       `json:"id"`
		Type        string       `json:"type"`
		Description string       `json:"description,omitempty"`
		Subjects    []attributes `json:"subjects"`
		Roles       []grant      `json:"roles"`
		Resources   []attributes `json:"resources"`
		Href        string       `json:"href"`
		CreatedAt   string       `json:"created_at"`
		CreatedBy   string       `json:"created_by_id"`
		State       string       `json:"state"`
	}
	attributes struct {
		Attributes []attribute `json:"attributes"`
	}
	attribute struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Operator string `json:"operator,omitempty"`
	}
	grant struct {
		ID          string `json:"role_id"`
		DisplayName string `json:"display_name,omitempty"`
	}
)

// token serves both token addresses.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		iamError(w, http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.")
		return
	}
	if grant := r.PostForm.Get("grant_type"); grant != grantAPIKey {
		iamError(w, http.StatusBadRequest, "BXNIM0138E", "The grant type is not supported.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.exchange(r.PostForm.Get("apikey"))
	if err != nil {
		iamError(w, http.StatusBadRequest, "BXNIM0415E", "Provided API key could not be found.")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		Expiration   int64  `json:"expiration"`
		Scope        string `json:"scope"`
	}{s.issue(id, s.life), "not_supported", "Bearer", int64(s.life / time.Second), s.now().Add(s.life).Unix(), "ibm openid"})
}

// iam checks the token of a request. A service id manages nothing here but sees its own key.
func (s *Server) iam(h func(http.ResponseWriter, *http.Request, Identity)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := s.Identify(r.Header.Get("Authorization"))
		if err == nil && fault.TokenExpired(r.Context()) {
			err = ErrExpired
		}
		switch {
		case err == ErrExpired:
			iamError(w, http.StatusUnauthorized, "BXNIM0408E", "Provided token is expired.")
		case err != nil:
			iamError(w, http.StatusUnauthorized, "BXNIM0407E", "Provided token is invalid.")
		case id.Kind != KindUser && r.URL.Path != "/v1/apikeys/details":
			iamError(w, http.StatusForbidden, "BXNIM0513E", "You are not authorized to use this API.")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
			s.mu.Lock()
			defer s.mu.Unlock()
			h(w, r, id)
		}
	}
}

func (s *Server) stamp() string { return s.now().UTC().Format("2006-01-02T15:04-0700") }

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
	s.st.ServiceIDs = append(s.st.ServiceIDs, v)
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
		list[i].Value = "" // shown when it is made, and never again
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

// paged cuts a list into pages, and says where the next one is.
func paged[T any](r *http.Request, list []T) (page []T, next string) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("pagesize"))
	if size < 1 || size > 100 {
		size = 20
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(q.Get("pagetoken"), "p"))
	from = min(max(from, 0), len(list))
	page = list[from:min(from+size, len(list))]
	if page == nil {
		page = []T{}
	}
	if to := from + size; to < len(list) {
		q.Set("pagetoken", "p"+strconv.Itoa(to))
		next = (&url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}).String()
	}
	return page, next
}

func (s *Server) createPolicy(w http.ResponseWriter, r *http.Request, id Identity) {
	var p policy
	if json.NewDecoder(r.Body).Decode(&p) != nil || p.Type != "access" && p.Type != "authorization" || len(p.Subjects) == 0 || len(p.Roles) == 0 || len(p.Resources) == 0 {
		policyError(w, http.StatusBadRequest, "invalid_body", "The policy needs a type, subjects, roles and resources.")
		return
	}
	for _, have := range s.st.Policies {
		if have.Type == p.Type && same(have.Subjects, p.Subjects) && same(have.Roles, p.Roles) && same(have.Resources, p.Resources) {
			policyError(w, http.StatusConflict, "policy_conflict_error", "The policy wasn't created because an access policy with identical attributes and roles already exists.")
			return
		}
	}
	p.ID, p.CreatedAt, p.CreatedBy, p.State = newID(), s.now().UTC().Format("2006-01-02T15:04:05.000Z"), id.IAMID, "active"
	p.Href = "https://iam.cloud.ibm.com/v1/policies/" + p.ID
	s.st.Policies = append(s.st.Policies, p)
	writeJSON(w, http.StatusCreated, p)
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (s *Server) listPolicies(w http.ResponseWriter, r *http.Request, _ Identity) {
	q := r.URL.Query()
	list := []policy{}
	for _, p := range s.st.Policies {
		subject := map[string]string{"iam_id": q.Get("iam_id")}
		if (q.Get("type") == "" || p.Type == q.Get("type")) && q.Get("account_id") == s.st.Account && (q.Get("iam_id") == "" || selects(p.Subjects, subject)) {
			list = append(list, p)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"policies": list})
}

func iamError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"errorCode": code, "errorMessage": message, "context": map[string]string{"requestId": newID(), "requestType": "incoming.Identity_Token"}})
}

func policyError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"trace": newID(), "errors": []map[string]string{{"code": code, "message": message}}, "status_code": status})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}
