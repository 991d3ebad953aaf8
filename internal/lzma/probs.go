package lzma

// The probabilities of a stream are in one array. Each is that of a 0, in 2048ths. A state or a
// kind of a distance comes first, the position second. The assembly knows these places.
const (
	states       = 12
	afterMatches = 7  // the first state after a symbol that is no literal
	maxPos       = 16 // values of the low bits of the position

	isMatch    = 0
	isRep0Long = isMatch + states*maxPos
	isRep      = isRep0Long + states*maxPos
	isRepG0    = isRep + states
	isRepG1    = isRepG0 + states
	isRepG2    = isRepG1 + states
	distSlot   = isRepG2 + states
	distTree   = distSlot + 4*64     // of the slots 4 to 13, one tree after the other
	distAlign  = distTree + 128 - 13 // of the 4 low bits of longer distances
	matchLen   = distAlign + 16
	repLen     = matchLen + lenProbs
	literal    = repLen + lenProbs
	allProbs   = literal + litProbs<<4

	// Of a length.
	lenChoice  = 0
	lenChoice2 = 1
	lenLow     = 2
	lenMid     = lenLow + maxPos*8
	lenHigh    = lenMid + maxPos*8
	lenProbs   = lenHigh + 256

	litProbs = 0x300

	probBits = 11
	probInit = 1 << (probBits - 1)
	moveBits = 5
	probOne  = 1 << probBits
	moveZero = probOne - 1<<moveBits + 1 // rounds the other way
	topValue = 1 << 24                   // a range below takes another byte
	minMatch = 2
)

// The states after a symbol (lzma-specification, "Sequence of states").
var (
	afterLiteral  = [states]uint8{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}
	afterMatch    = [states]uint8{7, 7, 7, 7, 7, 7, 7, 10, 10, 10, 10, 10}
	afterRep      = [states]uint8{8, 8, 8, 8, 8, 8, 8, 11, 11, 11, 11, 11}
	afterShortRep = [states]uint8{9, 9, 9, 9, 9, 9, 9, 11, 11, 11, 11, 11}
)
