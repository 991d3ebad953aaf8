package s3

import (
	"encoding/xml"
	"net/http"
)

const maxDeletes = 1000

// deleteObjects deletes several objects in one request. Missing objects count as deleted.
func (c *call) deleteObjects() error {
	if err := c.digested(); err != nil {
		return err
	}
	body, err := c.text(8 << 20)
	if err != nil {
		return err
	}
	type object struct {
		Key       string
		VersionId string `xml:",omitempty"`
	}
	var list struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   bool
		Object  []object
	}
	if xml.Unmarshal(body, &list) != nil || len(list.Object) == 0 || len(list.Object) > maxDeletes {
		return errXML
	}
	type failure struct {
		object
		Code, Message string
	}
	var x struct {
		XMLName xml.Name `xml:"DeleteResult"`
		NS      string   `xml:"xmlns,attr"`
		Deleted []object
		Error   []failure
	}
	x.NS = xmlns
	err = c.withBucket(func(b *bucket) error {
		for _, o := range list.Object {
			switch {
			case o.Key == "":
				x.Error = append(x.Error, failure{o, "UserKeyMustBeSpecified", "The key of an object must be specified."})
				continue
			case o.VersionId != "" && o.VersionId != "null":
				x.Error = append(x.Error, failure{o, "NoSuchVersion", "The specified version does not exist."})
				continue
			}
			b.objects[o.Key].remove()
			delete(b.objects, o.Key)
			if !list.Quiet {
				x.Deleted = append(x.Deleted, o)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}
