package lzma

// A Pair is two decoders that take turns: while one waits for a result, the other goes on.
type Pair [2]Decoder

// Next goes on with the decoders that are at work, which are those that were given a source and
// had no error since, until one is through a chunk. It returns which one that is, and what
// [Decoder.Next] of that one would. If none is at work, it returns -1.
func (p *Pair) Next() (i int, chunk []byte, err error) {
	work := [2]bool{}
	for i := range p {
		d := &p[i]
		if work[i] = d.src != nil && (d.err == nil || d.inside); work[i] {
			if d.begun(); !d.pending() {
				chunk, err = d.chunk()
				return i, chunk, err
			}
		}
	}
	switch {
	case work[0] && work[1]:
		for p[0].pending() && p[1].pending() {
			p.decode()
		}
		if !p[1].pending() {
			i = 1
		}
	case work[0], work[1]:
		if work[1] {
			i = 1
		}
		for p[i].pending() {
			p[i].decode()
		}
	default:
		return -1, nil, nil
	}
	chunk, err = p[i].chunk()
	return i, chunk, err
}

// decode goes on with both lanes, or with one that is at a place where they can not go on
// together.
func (p *Pair) decode() {
	for i := range p {
		if !p[i].quick() {
			p[i].decode()
			return
		}
	}
	p.fast()
}
