package nbd

// Numbers of the protocol, as its specification names them.

const (
	magicServer     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454f5054 // "IHAVEOPT"
	magicReply      = 0x0003e889045565a9 // to an option
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef
)

// Handshake flags of the server, and of the client with the same numbers.
const (
	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// Transmission flags.
const (
	flagHasFlags        = 1 << 0
	flagReadOnly        = 1 << 1
	flagSendFlush       = 1 << 2
	flagSendFUA         = 1 << 3
	flagSendTrim        = 1 << 5
	flagSendWriteZeroes = 1 << 6
	flagSendDF          = 1 << 7
	flagCanMultiConn    = 1 << 8
	flagSendFastZero    = 1 << 11
)

// Options. Extended headers (11) are not among them: neither libnbd before 1.18 nor QEMU before
// 8.2 asks for them, and all others do without.
const (
	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optStartTLS        = 5
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10
)

// Replies to options.
const (
	repAck         = 1
	repServer      = 2
	repInfo        = 3
	repMetaContext = 4

	repError       = 1 << 31
	repUnsupported = repError + 1
	repInvalid     = repError + 3
	repTLSRequired = repError + 5
	repUnknown     = repError + 6
	repShutdown    = repError + 7
)

// What an export is said to be.
const (
	infoExport      = 0
	infoName        = 1
	infoDescription = 2
	infoBlockSize   = 3
)

// Requests.
const (
	cmdRead        = 0
	cmdWrite       = 1
	cmdDisconnect  = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdWriteZeroes = 6
	cmdBlockStatus = 7
)

// Flags of requests.
const (
	cmdFlagFUA      = 1 << 0
	cmdFlagNoHole   = 1 << 1
	cmdFlagDF       = 1 << 2 // a single piece
	cmdFlagReqOne   = 1 << 3 // a single extent
	cmdFlagFastZero = 1 << 4
)

// Chunks of structured replies.
const (
	chunkDone = 1 << 0 // the flag of the last one

	chunkNone   = 0
	chunkData   = 1
	chunkHole   = 2
	chunkStatus = 5
	chunkError  = 1<<15 + 1
)

// Flags of an extent in base:allocation.
const (
	stateHole = 1 << 0
	stateZero = 1 << 1
)

// The metadata context that tells of holes.
const (
	contextAllocation = "base:allocation"
	contextBase       = "base:"
	contextID         = 1
)

// Errors of requests.
const (
	errPerm     = 1
	errIO       = 5
	errInvalid  = 22
	errNoSpace  = 28
	errOverflow = 75
	errNotSup   = 95
)

const (
	requestSize    = 28 // bytes of the header of a request
	simpleSize     = 16 // of a simple reply
	structuredSize = 20 // of a chunk of a structured reply

	// maxRequest is the most that is read or written by one request. Clients take it for granted.
	maxRequest = 32 << 20
)
