package audit

import (
	"slices"
	"strings"
)

// A choice is a query, and which of the images in the events it means.
type choice struct {
	Query
	images []string // that were asked for; none means all of the root key
	mine   []string // IDs of images that count: the event of a server may name its image only
	others []string // IDs of images that do not count
}

// choose finds the images that the query means.
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

// imported returns the ID of the image that the event is the import of, or "".
func imported(e *Event) string {
	if stages[Current(e.Action)] != Import || !e.OK() {
		return ""
	}
	return e.Target.ID[strings.LastIndexByte(e.Target.ID, ':')+1:]
}

// counts tells whether an event of a stage is part of the story.
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

// matches tells whether an event mentions what the query names.
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
