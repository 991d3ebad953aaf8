package kms

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

const grantAPIKey = "urn:ibm:params:oauth:grant-type:apikey"

// JSON formats of IAM.
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

		APIKey *apiKey `json:"apikey,omitempty"` // created with it and shown once
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
		Disabled    bool   `json:"disabled,omitempty"`
		ModifiedAt  string `json:"modified_at,omitempty"`
	}
)

// token serves both token endpoints.
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

// iam checks the token of a request. A service ID can only read its own key here.
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

// paged returns a page of a list and the address of the next one.
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
