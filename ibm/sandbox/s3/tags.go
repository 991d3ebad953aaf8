package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const maxTags = 10

// A tag is a key-value pair of an object that can change, unlike its metadata.
type tag struct{ Key, Value string }

// tagText matches valid text in tags: "Add tags to an object" in IBM's API reference.
var tagText = regexp.MustCompile("^[a-zA-Z0-9 !_.*'`():-]*$")

// checkTags refuses invalid tags.
func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return refusal("BadRequest", "Object tags cannot be greater than 10")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > 128 || !tagText.MatchString(t.Key) || strings.HasPrefix(t.Key, "ibm:"):
			return refusal("InvalidTag", "The TagKey you have provided is invalid")
		case utf8.RuneCountInString(t.Value) > 256 || !tagText.MatchString(t.Value):
			return refusal("InvalidTag", "The TagValue you have provided is invalid")
		case seen[t.Key]:
			return refusal("InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	return nil
}

// tagsOf parses the header X-Amz-Tagging.
func tagsOf(h http.Header) ([]tag, error) {
	q, err := url.ParseQuery(h.Get("X-Amz-Tagging"))
	if err != nil {
		return nil, refusal("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	var tags []tag
	for key, values := range q {
		for _, v := range values {
			tags = append(tags, tag{key, v})
		}
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, checkTags(tags)
}

// tags returns the current tags of the object.
func (o *Object) tags() []tag {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	return slices.Clone(o.o.tags)
}

// withObject calls f with the object while it holds the lock.
func (c *call) withObject(f func(*object) error) error {
	return c.withBucket(func(b *bucket) error {
		o := b.objects[c.key]
		if o == nil {
			return ErrNoKey
		}
		return f(o)
	})
}

type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	NS      string   `xml:"xmlns,attr,omitempty"`
	TagSet  struct{ Tag []tag }
}

func (c *call) getTags() error {
	x := tagging{NS: xmlns}
	if err := c.withObject(func(o *object) error { x.TagSet.Tag = slices.Clone(o.tags); return nil }); err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) putTags() error {
	body, err := c.text(64 << 10)
	if err != nil {
		return err
	}
	var x tagging
	if xml.Unmarshal(body, &x) != nil {
		return errXML
	}
	if err := checkTags(x.TagSet.Tag); err != nil {
		return err
	}
	if err := c.withObject(func(o *object) error { o.tags = x.TagSet.Tag; return nil }); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteTags() error {
	if err := c.withObject(func(o *object) error { o.tags = nil; return nil }); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
