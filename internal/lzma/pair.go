package lzma

// A Pair is two decoders that take turns: while one waits for a result, the other continues.
type Pair [2]Decoder

// Next runs the active decoders until one has finished a chunk. It returns the index of that decoder
// and the results of its [Decoder.Next]. A decoder is active if it has a source and has returned no
// error since it got it. Without an active decoder, Next returns -1.
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

// decode runs both lanes, or only one if they cannot run together at their present positions.
func (p *Pair) decode() {
	for i := range p {
		if !p[i].quick() {
			p[i].decode()
			return
		}
	}
	p.fast()
}
