package kms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Kinds of identity: the values of the claims sub_type and type.
const (
	KindUser      = "User"
	KindServiceID = "ServiceId"
	KindService   = "Service"
)

// An Identity is a user, a service ID or a cloud service.
type Identity struct {
	Kind    string `json:"kind"`
	IAMID   string `json:"iam_id"`
	Name    string `json:"name"`
	Account string `json:"account"`

	Instance string `json:"instance,omitempty"` // instance of a cloud service, if known
}

// Errors of credentials.
var (
	ErrToken   = errors.New("the token is not valid")
	ErrExpired = errors.New("the token has expired")
	ErrAPIKey  = errors.New("provided API key could not be found")
)

// Service returns the identity of a cloud service such as "server-protect" that acts in an
// account.
func Service(name, account string) Identity {
	return Identity{Kind: KindService, IAMID: "crn-crn:v1:bluemix:public:" + name + "::a/" + account + ":::", Name: name, Account: account}
}

// AddUser creates a user with all permissions in the account, and returns its API key.
func (s *Server) AddUser(name string) (Identity, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := Identity{Kind: KindUser, IAMID: "IBMid-" + strings.ToUpper(randomHex(5)), Name: name, Account: s.st.Account}
	s.st.Users = append(s.st.Users, id)
	key := s.addKey(id.IAMID, name+"'s key", "")
	return id, key.Value
}

// AddInstance creates an instance of "kms" or "hs-crypto" in a region and returns its CRN.
func (s *Server) AddInstance(service, region string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := instance{ID: newID(), Service: service, Region: region, Account: s.st.Account}
	s.st.Instances = append(s.st.Instances, i)
	return i.crn("", "")
}

// Identify returns the identity of a token, given as the value of an Authorization header with or
// without "Bearer ". The error matches [ErrToken] or [ErrExpired].
func (s *Server) Identify(authorization string) (Identity, error) {
	token := authorization
	if len(token) > 7 && strings.EqualFold(token[:7], "bearer ") {
		token = token[7:]
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Identity{}, ErrToken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !hmac.Equal([]byte(s.sign(parts[0]+"."+parts[1])), []byte(parts[2])) {
		return Identity{}, ErrToken
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Identity{}, ErrToken
	}
	var c claims
	if json.Unmarshal(text, &c) != nil {
		return Identity{}, ErrToken
	}
	if s.now().Unix() >= c.Expires {
		return Identity{}, ErrExpired
	}
	id, ok := s.identity(c.IAMID)
	if !ok {
		return Identity{}, ErrToken
	}
	return id, nil
}

// Exchange returns the identity of an API key, or [ErrAPIKey].
func (s *Server) Exchange(apiKey string) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchange(apiKey)
}

func (s *Server) exchange(apiKey string) (Identity, error) {
	for _, k := range s.st.APIKeys {
		if !k.Disabled && hmac.Equal([]byte(k.Value), []byte(apiKey)) {
			if id, ok := s.identity(k.IAMID); ok {
				return id, nil
			}
		}
	}
	return Identity{}, ErrAPIKey
}

// Lookup returns the user or service ID with an IAM ID.
func (s *Server) Lookup(iamID string) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity(iamID)
}

// Authorize grants a service the role Reader on all instances of another one, like a policy of
// type authorization.
func (s *Server) Authorize(source, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.allowed(Service(source, s.st.Account), target, place{}, Reader) {
		return
	}
	p := policy{ID: newID(), Type: "authorization", Roles: []grant{{ID: "crn:v1:bluemix:public:iam::::serviceRole:" + Reader}},
		CreatedAt: s.moment(), CreatedBy: "sandbox", State: "active",
		Subjects:  []attributes{{[]attribute{{Name: "serviceName", Value: source}, {Name: "accountId", Value: s.st.Account}}}},
		Resources: []attributes{{[]attribute{{Name: "serviceName", Value: target}, {Name: "accountId", Value: s.st.Account}}}},
	}
	p.Href = "https://iam.cloud.ibm.com/v1/policies/" + p.ID
	s.st.Policies = append(s.st.Policies, p)
}

// Revoke removes the authorization of a service for another one.
func (s *Server) Revoke(source, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := func(all []attributes, name string) bool {
		return selects(all, map[string]string{"serviceName": name, "accountId": s.st.Account})
	}
	s.st.Policies = slices.DeleteFunc(s.st.Policies, func(p policy) bool {
		return p.Type == "authorization" && is(p.Subjects, source) && is(p.Resources, target)
	})
}

// Token issues a token with lifetime life to a known identity.
func (s *Server) Token(id Identity, life time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(id, life)
}

// claims are the claims of a real token that clients use.
type claims struct {
	IAMID   string `json:"iam_id"`
	ID      string `json:"id"`
	Subject string `json:"sub"`
	Kind    string `json:"sub_type,omitempty"`
	Account struct {
		Valid bool   `json:"valid"`
		ID    string `json:"bss"`
	} `json:"account"`
	IssuedAt  int64  `json:"iat"`
	Expires   int64  `json:"exp"`
	Issuer    string `json:"iss"`
	GrantType string `json:"grant_type"`
	Scope     string `json:"scope"`
	TokenID   string `json:"jti"`
}

func (s *Server) issue(id Identity, life time.Duration) string {
	now := s.now()
	c := claims{IAMID: id.IAMID, ID: id.IAMID, Subject: id.Name, Kind: id.Kind, IssuedAt: now.Unix(), Expires: now.Add(life).Unix(),
		Issuer: "https://iam.cloud.ibm.com/identity", GrantType: grantAPIKey, Scope: "ibm openid", TokenID: newID()}
	c.Account.Valid, c.Account.ID = true, id.Account
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // unreachable: strings and numbers always marshal
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"sandbox","alg":"HS256"}`))
	signed := head + "." + base64.RawURLEncoding.EncodeToString(text)
	return signed + "." + s.sign(signed)
}

func (s *Server) sign(text string) string {
	mac := hmac.New(sha256.New, s.st.TokenKey)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Server) identity(iamID string) (Identity, bool) {
	for _, u := range s.st.Users {
		if u.IAMID == iamID {
			return u, true
		}
	}
	for _, id := range s.st.ServiceIDs {
		if id.IAMID == iamID {
			return Identity{Kind: KindServiceID, IAMID: id.IAMID, Name: id.Name, Account: id.AccountID}, true
		}
	}
	return Identity{}, false
}

// Roles, in ascending order. KeyPurge is separate: it permits only purging, and
// no other role includes it.
const (
	Reader     = "Reader"
	ReaderPlus = "ReaderPlus"
	Writer     = "Writer"
	Manager    = "Manager"
	KeyPurge   = "KeyPurge"
)

var roleOrder = []string{Reader, ReaderPlus, Writer, Manager}

// includes reports whether the role have is want or a higher one.
func includes(have, want string) bool {
	rank := slices.Index(roleOrder, want)
	return have == want || rank >= 0 && slices.Index(roleOrder, have) >= rank
}

// place is the location of an action in a service. An empty field is unknown, and does not match a policy
// that requires it.
type place struct{ Instance, Ring, Key string }

// Allowed reports whether an identity has a role, or a higher one, on an instance of a
// service. A user of the account always has it, a service ID by its access policies, a service by
// the authorizations of the account.
func (s *Server) Allowed(id Identity, service, instance, role string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allowed(id, service, place{Instance: instance}, role)
}

// Authorized reports whether an authorization such as server-protect -> kms lets a service read
// from an instance of another one.
func (s *Server) Authorized(source, account, target, instance string) bool {
	return s.Allowed(Service(source, account), target, instance, Reader)
}

func (s *Server) allowed(id Identity, service string, at place, role string) bool {
	if id.Account != s.st.Account {
		return false
	}
	kind, subject := "access", map[string]string{"iam_id": id.IAMID}
	switch id.Kind {
	case KindUser:
		if role != KeyPurge {
			return true
		}
	case KindService:
		kind, subject = "authorization", map[string]string{"serviceName": id.Name, "accountId": id.Account, "serviceInstance": id.Instance}
		if id.Name == "is" {
			subject["resourceType"] = "image" // the image service is the part of VPC that reads objects and keys
		}
	}
	resource := map[string]string{"serviceName": service, "accountId": id.Account, "serviceInstance": at.Instance}
	if at.Ring != "" {
		resource["keyRing"] = at.Ring
	}
	if at.Key != "" {
		resource["resourceType"], resource["resource"] = "key", at.Key
	}
	for _, p := range s.st.Policies {
		if p.Type == kind && p.State == "active" && selects(p.Subjects, subject) && selects(p.Resources, resource) && slices.ContainsFunc(p.Roles, func(r grant) bool {
			_, name, _ := strings.Cut(r.ID, "serviceRole:")
			return includes(name, role)
		}) {
			return true
		}
	}
	return false
}
