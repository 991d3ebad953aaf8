package lzma

// The probabilities of a stream are in one array. Each is the probability of a 0 in units of 1/2048.
// The state or the kind of distance is the major index, the position the minor one. The assembly
// depends on these offsets.
const (
	states       = 12
	afterMatches = 7  // the first state after a symbol other than a literal
	maxPos       = 16 // number of values of the low bits of the position

	isMatch    = 0
	isRep0Long = isMatch + states*maxPos
	isRep      = isRep0Long + states*maxPos
	isRepG0    = isRep + states
	isRepG1    = isRepG0 + states
	isRepG2    = isRepG1 + states
	distSlot   = isRepG2 + states
	distTree   = distSlot + 4*64     // trees of the slots 4 to 13
	distAlign  = distTree + 128 - 13 // tree of the low 4 bits of longer distances
	matchLen   = distAlign + 16
	repLen     = matchLen + lenProbs
	literal    = repLen + lenProbs
	allProbs   = literal + litProbs<<4

	// These offsets are within the probabilities of a length.
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
	moveZero = probOne - 1<<moveBits + 1 // rounds in the other direction
	topValue = 1 << 24                   // a range below this needs another byte
	minMatch = 2
)

// These tables give the next state after each kind of symbol (lzma-specification, "Sequence of
// states").
var (
	afterLiteral  = [states]uint8{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}
	afterMatch    = [states]uint8{7, 7, 7, 7, 7, 7, 7, 10, 10, 10, 10, 10}
	afterRep      = [states]uint8{8, 8, 8, 8, 8, 8, 8, 11, 11, 11, 11, 11}
	afterShortRep = [states]uint8{9, 9, 9, 9, 9, 9, 9, 11, 11, 11, 11, 11}
)
