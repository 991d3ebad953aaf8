package s3

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// operations maps methods to the functions that serve them.
type operations map[string]func(*call) error

// A resource lists the operations on a resource of the service, its buckets and its objects. A
// request to a level that is nil is refused.
type resource struct{ service, bucket, object operations }

// resources lists all supported resources by the name of the sub-resource in the query. "" is the service, the
// bucket or the object itself. Empty entries are sub-resources of the S3 API that are not supported.
// A request for an unsupported sub-resource is refused; it never acts on the bucket or the object instead.
var resources = map[string]resource{
	"": {
		service: operations{"GET": (*call).listBuckets},
		bucket:  operations{"PUT": (*call).createBucket, "HEAD": (*call).headBucket, "DELETE": (*call).deleteBucket, "GET": (*call).listObjects},
		object:  operations{"PUT": (*call).putObject, "GET": (*call).getObject, "HEAD": (*call).getObject, "DELETE": (*call).deleteObject},
	},
	"uploadId": {object: operations{"PUT": (*call).putPart, "GET": (*call).listParts, "POST": (*call).complete, "DELETE": (*call).abort}},
	"uploads":  {bucket: operations{"GET": (*call).listUploads}, object: operations{"POST": (*call).createUpload}},
	"delete":   {bucket: operations{"POST": (*call).deleteObjects}},
	"location": {bucket: operations{"GET": (*call).location}},
	"acl": {
		bucket: operations{"GET": (*call).getACL, "PUT": (*call).putACL},
		object: operations{"GET": (*call).getACL, "PUT": (*call).putACL},
	},
	"tagging":    {object: operations{"GET": (*call).getTags, "PUT": (*call).putTags, "DELETE": (*call).deleteTags}},
	"versioning": {bucket: operations{"GET": (*call).versioning, "PUT": notImplemented}},
	"cors":       {bucket: settingOperations},
	"lifecycle":  {bucket: settingOperations},

	"accelerate": {}, "analytics": {}, "append": {}, "attributes": {}, "encryption": {}, "extendRetention": {}, "intelligent-tiering": {},
	"inventory": {}, "legal-hold": {}, "legalHold": {}, "logging": {}, "metadataConfiguration": {}, "metadataTable": {}, "metrics": {},
	"notification": {}, "object-lock": {}, "ownershipControls": {}, "policy": {}, "policyStatus": {}, "protection": {}, "publicAccessBlock": {},
	"quota": {}, "renameObject": {}, "replication": {}, "requestPayment": {}, "restore": {}, "retention": {}, "select": {}, "session": {},
	"torrent": {}, "versions": {}, "website": {},
}

// parameters modify an operation. Other parameters with a value are ignored, as in S3. Those without a value look
// like a sub-resource, and are refused.
var parameters = map[string]bool{
	"continuation-token": true, "delimiter": true, "encoding-type": true, "extended": true, "fetch-owner": true, "key-marker": true,
	"list-type": true, "marker": true, "max-keys": true, "max-parts": true, "max-uploads": true, "part-number-marker": true, "partNumber": true,
	"prefix": true, "start-after": true, "upload-id-marker": true, "versionId": true, "x-id": true,
	"response-cache-control": true, "response-content-disposition": true, "response-content-encoding": true,
	"response-content-language": true, "response-content-type": true, "response-expires": true,
}

func notImplemented(*call) error {
	return refusal("NotImplemented", "A header or query you provided implies functionality that is not implemented.")
}

// A call is an authenticated request.
type call struct {
	s           *Server
	w           http.ResponseWriter
	r           *http.Request
	who         *identity
	q           url.Values
	bucket, key string
	sub         string // sub-resource, or ""
}

// serve authenticates a request and calls its operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	who, err := s.authenticate(r)
	if err != nil {
		return err
	}
	if write := r.Method != http.MethodGet && r.Method != http.MethodHead; !s.mayAccess(r, who, write) {
		return refusal("AccessDenied", "Access Denied")
	}
	c := &call{s: s, w: w, r: r, who: who, q: r.URL.Query()}
	c.bucket, c.key = address(r)
	if err := c.checkRegion(); err != nil {
		return err
	}
	if err := c.findSub(); err != nil {
		return err
	}
	level := resources[c.sub].object
	switch {
	case c.bucket == "":
		level = resources[c.sub].service
	case c.key == "":
		level = resources[c.sub].bucket
	case len(c.key) > 1024:
		return refusal("KeyTooLongError", "Your key is too long.")
	case !utf8.ValidString(c.key):
		return refusal("InvalidURI", "Couldn't parse the specified URI.")
	}
	if level == nil {
		return notImplemented(c)
	}
	if f := level[r.Method]; f != nil {
		return f(c)
	}
	return refusal("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

// mayAccess reports whether the caller may read, or write.
func (s *Server) mayAccess(r *http.Request, who *identity, write bool) bool {
	return !who.bearer || s.o.Access == nil || s.o.Access(r.Context(), bearer(r), write)
}

// findSub determines the sub-resource in the query.
func (c *call) findSub() error {
	for name, values := range c.q {
		_, known := resources[name]
		switch {
		case known && c.sub == "" && name != "":
			c.sub = name
		case known:
			return refusal("InvalidArgument", "Conflicting query string parameters.")
		case parameters[name] || strings.Join(values, "") != "":
		default:
			return notImplemented(c)
		}
	}
	if v := c.q.Get("versionId"); v != "" && v != "null" {
		return refusal("NoSuchVersion", "The specified version does not exist.")
	}
	if c.sub == "" && c.q.Has("partNumber") && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return refusal("InvalidArgument", "partNumber needs uploadId.")
	}
	return nil
}

// endpoint matches a host name of the service, with an optional bucket, and the region.
var endpoint = regexp.MustCompile(`^(?:(.+)\.)?s3\.(?:private\.|direct\.)?([a-z0-9-]+)\.cloud-object-storage\.`)

// address returns the bucket and key of a request. The bucket is the first part of the host or of the path.
func address(r *http.Request) (bucket, key string) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if m := endpoint.FindStringSubmatch(host); m != nil {
		bucket = m[1]
	}
	for _, own := range []string{".localhost", ".127.0.0.1"} {
		if b, ok := strings.CutSuffix(host, own); ok {
			bucket = b
		}
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket != "" {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// checkRegion refuses a bucket in another region than the endpoint, if the host
// name shows the region.
func (c *call) checkRegion() error {
	m := endpoint.FindStringSubmatch(c.r.Host)
	if m == nil {
		return nil
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	b := c.s.buckets[c.bucket]
	if b == nil || b.region() == m[2] {
		return nil
	}
	c.w.Header().Set("X-Amz-Bucket-Region", b.region())
	e := refusal("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
	e.endpoint = "s3." + b.region() + ".cloud-object-storage.appdomain.cloud"
	return e
}
