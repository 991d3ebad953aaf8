// Package spans has sets of units of a disk, such as the clusters that have data, as runs and in a
// compact encoding.
package spans

import (
	"encoding/binary"
	"fmt"
	"iter"
	"sort"
)

// A Span is a run of units.
type Span struct {
	First, Count int64
	Before       int64 // number of units in all earlier spans
}

// A List has spans in ascending order, with gaps between them.
type List []Span

// Most bounds the number of spans in a list, and so its memory.
const Most = 4 << 20

// ErrMost means that a list would have more than Most spans.
var ErrMost = fmt.Errorf("the data of the disk are in more than %d pieces", Most)

// Add adds a run after the existing ones. It can follow the last one without a gap, or overlap its end.
func (l *List) Add(first, count int64) error {
	if n := len(*l); n > 0 {
		last := &(*l)[n-1]
		if end := last.First + last.Count; first <= end {
			last.Count = max(end, first+count) - last.First
			return nil
		}
	}
	if len(*l) == Most {
		return ErrMost
	}
	*l = append(*l, Span{first, count, l.Len()})
	return nil
}

// Len returns the number of units.
func (l *List) Len() int64 {
	if n := len(*l); n > 0 {
		return (*l)[n-1].Before + (*l)[n-1].Count
	}
	return 0
}

// From yields the units in order, starting with the unit at position index in the list.
func (l *List) From(index int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		i := sort.Search(len(*l), func(i int) bool { return (*l)[i].Before+(*l)[i].Count > index })
		for ; i < len(*l); i++ {
			s := (*l)[i]
			for u := s.First + max(0, index-s.Before); u < s.First+s.Count; u++ {
				if !yield(u) {
					return
				}
			}
		}
	}
}

// All yields all units in order.
func (l *List) All() iter.Seq[int64] { return l.From(0) }

// Encode returns the compact encoding: the gap before each span and its length, as varints.
func (l *List) Encode() []byte {
	var b []byte
	at := int64(0)
	for _, s := range *l {
		b = binary.AppendUvarint(b, uint64(s.First-at))
		b = binary.AppendUvarint(b, uint64(s.Count))
		at = s.First + s.Count
	}
	return b
}

// Decode decodes the compact encoding for a disk with the given number of units.
func Decode(b []byte, units int64) (List, error) {
	var l List
	at := int64(0)
	for n := 0; len(b) > 0; n++ {
		gap, k := binary.Uvarint(b)
		if k <= 0 {
			return nil, fmt.Errorf("span %d is malformed", n)
		}
		b = b[k:]
		count, k := binary.Uvarint(b)
		if k <= 0 {
			return nil, fmt.Errorf("span %d is malformed", n)
		}
		b = b[k:]
		rest := uint64(units - at)
		if count == 0 || gap > rest || count > rest-gap || gap == 0 && n > 0 {
			return nil, fmt.Errorf("span %d: %d units after a gap of %d, at unit %d of %d", n, count, gap, at, units)
		}
		if n == Most {
			return nil, ErrMost
		}
		if err := l.Add(at+int64(gap), int64(count)); err != nil {
			return nil, err
		}
		at += int64(gap + count)
	}
	return l, nil
}
