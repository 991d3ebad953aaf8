package nbd

// Constants of the protocol, named as in its specification.

const (
	magicServer     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454f5054 // "IHAVEOPT"
	magicReply      = 0x0003e889045565a9 // reply to an option
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

// Options. Extended headers (11) are not supported: all clients work without them, and libnbd
// before 1.18 and QEMU before 8.2 do not request them.
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

// Types of information about an export.
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
	cmdFlagDF       = 1 << 2 // the reply must be a single piece
	cmdFlagReqOne   = 1 << 3 // the reply must have a single extent
	cmdFlagFastZero = 1 << 4
)

// Chunks of structured replies.
const (
	chunkDone = 1 << 0 // flag of the last chunk

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

// The metadata context that reports holes.
const (
	contextAllocation = "base:allocation"
	contextBase       = "base:"
	contextID         = 1
)

// Error codes of requests.
const (
	errPerm     = 1
	errIO       = 5
	errInvalid  = 22
	errNoSpace  = 28
	errOverflow = 75
	errNotSup   = 95
)

const (
	requestSize    = 28 // size of a request header
	simpleSize     = 16 // size of a simple reply header
	structuredSize = 20 // size of a chunk header

	// maxRequest is the maximum number of bytes of a read or write, which clients rely on.
	maxRequest = 32 << 20
)
