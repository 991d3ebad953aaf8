package s3

import (
	"crypto/md5"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// A namedPart is a part in a CompleteMultipartUpload request.
type namedPart struct {
	PartNumber int
	ETag       string
	Others     []struct {
		XMLName xml.Name
		Value   string `xml:",chardata"`
	} `xml:",any"` // checksums
}

// matches reports whether the part matches the stored one.
func (n namedPart) matches(p storedPart) (bool, error) {
	if strings.Trim(n.ETag, `"`) != hexOf(p.md5[:]) {
		return false, nil
	}
	for _, o := range n.Others {
		algorithm, ok := strings.CutPrefix(o.XMLName.Local, "Checksum")
		if !ok || algorithms[algorithm] == nil {
			continue
		}
		value, err := p.checksum(algorithm)
		if err != nil || strings.TrimSpace(o.Value) != (checksum{value: value}).String() {
			return false, err
		}
	}
	return true, nil
}

// complete creates an object from parts. It computes a checksum without holding the lock, and fails if a
// part has changed by then.
func (c *call) complete() error {
	// The checksum header is that of the object, not of the body.
	algorithm, claim, err := claimed(c.r.Header)
	if err != nil {
		return err
	}
	c.r.Header.Del(sumHeader(algorithm))
	body, err := c.text(4 << 20)
	if err != nil {
		return err
	}
	var list struct {
		XMLName xml.Name    `xml:"CompleteMultipartUpload"`
		Part    []namedPart `xml:"Part"`
	}
	if xml.Unmarshal(body, &list) != nil || len(list.Part) == 0 || len(list.Part) > maxParts {
		return errXML
	}
	var u *upload
	var parts map[int]storedPart
	if err := c.withUpload(func(_ *bucket, found *upload) error { u, parts = found, maps.Clone(found.parts); return nil }); err != nil {
		return err
	}
	blobs, etag, err := c.gather(list.Part, parts)
	if err != nil {
		return err
	}
	o := newObject(c.s.o.Now(), u.header, etag, blobs...)
	o.tags = u.tags
	if v := c.r.Header.Get("X-Amz-Mp-Object-Size"); v != "" && v != strconv.FormatInt(o.size, 10) {
		return refusal("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	if o.size > maxObject {
		return refusal("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
	}
	plan, err := c.completePlan(u.plan, algorithm, claim)
	if err != nil {
		return err
	}
	if o.sum, err = plan.sum(blobs); errors.Is(err, os.ErrNotExist) {
		return errNoUpload
	} else if err != nil {
		return err
	}
	// Some clients omit the number of parts in a composite checksum.
	if claim != "" && claim != o.sum.String() && claim != (checksum{value: o.sum.value}).String() {
		return refusal("BadDigest", "The "+strings.ToLower(algorithm)+" you specified did not match the calculated checksum.")
	}
	err = c.withUpload(func(b *bucket, now *upload) error {
		for _, l := range list.Part {
			if now.parts[l.PartNumber] != parts[l.PartNumber] {
				return errPart
			}
		}
		if err := preconditions(c.r.Header, "", b.objects[c.key], false); err != nil {
			return err
		}
		for _, l := range list.Part {
			delete(now.parts, l.PartNumber)
		}
		for _, p := range now.parts { // unused parts
			os.Remove(p.name)
		}
		delete(b.uploads, c.q.Get("uploadId"))
		b.objects[c.key].remove()
		b.objects[c.key] = o
		return nil
	})
	if err != nil {
		return err
	}
	var x struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		NS                          string   `xml:"xmlns,attr"`
		Location, Bucket, Key, ETag string
		Checksum                    checksum
		ChecksumType                string `xml:",omitempty"`
	}
	x.NS, x.Location, x.Bucket, x.Key, x.ETag, x.Checksum = xmlns, "http://"+c.r.Host+c.r.URL.EscapedPath(), c.bucket, c.key, `"`+o.etag+`"`, o.sum
	if o.sum.algorithm != "" {
		x.ChecksumType = o.sum.kind()
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

var errPart = refusal("InvalidPart", "One or more of the specified parts could not be found, or its entity tag did not match.")

// gather returns the blobs of the listed parts, and the entity tag of the resulting object.
func (c *call) gather(list []namedPart, parts map[int]storedPart) ([]*blobFile, string, error) {
	h := md5.New()
	blobs := make([]*blobFile, 0, len(list))
	for i, l := range list {
		if i > 0 && l.PartNumber <= list[i-1].PartNumber {
			return nil, "", refusal("InvalidPartOrder", "The list of parts was not in ascending order.")
		}
	}
	for i, l := range list {
		p, ok := parts[l.PartNumber]
		if !ok {
			return nil, "", errPart
		}
		if same, err := l.matches(p); err != nil {
			return nil, "", err
		} else if !same {
			return nil, "", errPart
		}
		if p.size < c.s.o.MinPart && i < len(list)-1 {
			return nil, "", refusal("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
		}
		h.Write(p.md5[:])
		blobs = append(blobs, p.blobFile)
	}
	return blobs, fmt.Sprintf("%x-%d", h.Sum(nil), len(list)), nil
}

// completePlan returns the checksum of the object: as chosen by the upload or by the completing request.
func (c *call) completePlan(plan sumPlan, algorithm, claim string) (sumPlan, error) {
	h := http.Header{"X-Amz-Checksum-Algorithm": {algorithm}, "X-Amz-Checksum-Type": {c.r.Header.Get("X-Amz-Checksum-Type")}}
	switch {
	case plan.algorithm == "" && algorithm == "":
		return plan, nil
	case plan.algorithm == "":
		if h.Get("X-Amz-Checksum-Type") == "" && !strings.Contains(claim, "-") && !strings.HasPrefix(algorithm, "SHA") {
			h.Set("X-Amz-Checksum-Type", fullObject)
		}
		return parsePlan(h)
	case algorithm != "" && algorithm != plan.algorithm:
		return plan, refusal("InvalidRequest", "The upload was created using the "+strings.ToLower(plan.algorithm)+" checksum algorithm.")
	case h.Get("X-Amz-Checksum-Type") != "" && h.Get("X-Amz-Checksum-Type") != plan.kind:
		return plan, refusal("InvalidRequest", "The upload was created using the "+plan.kind+" checksum type.")
	}
	return plan, nil
}
