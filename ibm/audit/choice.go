package audit

import (
	"slices"
	"strings"
)

// A choice is a query with the images that it selects from the events.
type choice struct {
	Query
	images []string // the selected images; empty means all images of the root key
	mine   []string // IDs of images that count, since a server event may name only its image
	others []string // IDs of images that do not count
}

// choose finds the images that the query selects.
func (q Query) choose(events []Event) *choice {
	c := &choice{Query: q}
	if q.ImageID != "" {
		c.images = []string{q.ImageID}
	} else if q.ServerID != "" {
		c.images = q.imagesOfServer(events)
	}
	c.mine = slices.Clone(c.images)
	for i := range events {
		e := &events[i]
		id := imported(e)
		switch {
		case id == "":
		case c.counts(Import, e):
			c.mine = append(c.mine, id)
		default:
			c.others = append(c.others, id)
		}
	}
	return c
}

// imagesOfServer returns the IDs of the imported images that events of the server name.
func (q Query) imagesOfServer(events []Event) (ids []string) {
	for i := range events {
		id := imported(&events[i])
		if id != "" && slices.ContainsFunc(events, func(e Event) bool {
			return stages[Current(e.Action)] == Provision && mentions(&e, q.ServerID) && mentions(&e, id)
		}) {
			ids = append(ids, id)
		}
	}
	return ids
}

// imported returns the ID of the image that the event imports, or "".
func imported(e *Event) string {
	if stages[Current(e.Action)] != Import || !e.OK() {
		return ""
	}
	return e.Target.ID[strings.LastIndexByte(e.Target.ID, ':')+1:]
}

// counts reports whether an event of a stage belongs to the chain.
func (c *choice) counts(stage Stage, e *Event) bool {
	switch {
	case stage == Import && len(c.images) > 0:
		return mentionsAny(e, c.images)
	case stage == Provision && c.ServerID != "":
		return mentions(e, c.ServerID) && (len(c.images) == 0 || mentionsAny(e, c.mine) || !mentionsAny(e, c.others))
	case stage == Provision && len(c.images) > 0:
		return mentionsAny(e, c.mine)
	}
	return c.matches(e) || stage == Provision && mentionsAny(e, c.mine)
}

// matches reports whether an event mentions the key, image or server of the query.
func (q Query) matches(e *Event) bool {
	if q.RootKeyCRN != "" {
		if mentions(e, q.RootKeyCRN) {
			return true
		}
		if p := strings.Split(q.RootKeyCRN, ":"); len(p) == 10 && p[9] != "" && mentions(e, p[9]) {
			return true
		}
	}
	return q.ImageID != "" && mentions(e, q.ImageID) || q.ServerID != "" && mentions(e, q.ServerID)
}

func mentionsAny(e *Event, ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return mentions(e, id) })
}
