package nbd

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"syscall"
)

// A request is a client's request to an export.
type request struct {
	flags   uint16
	command uint16
	cookie  uint64 // repeated in the reply
	off     uint64
	length  uint32
}

// parseRequest parses the header of a request.
func parseRequest(b []byte) (request, error) {
	if binary.BigEndian.Uint32(b) != magicRequest {
		return request{}, errClient
	}
	return request{
		flags:   binary.BigEndian.Uint16(b[4:]),
		command: binary.BigEndian.Uint16(b[6:]),
		cookie:  binary.BigEndian.Uint64(b[8:]),
		off:     binary.BigEndian.Uint64(b[16:]),
		length:  binary.BigEndian.Uint32(b[24:]),
	}, nil
}

// end returns the offset past the request. check has ensured that it is inside the disk.
func (q request) end() uint64 { return q.off + uint64(q.length) }

// A requestError is an error with its code in the protocol.
type requestError struct {
	code uint32
	text string
}

func (e *requestError) Error() string { return e.text }

var (
	errReadOnly   = &requestError{errPerm, "the export is read-only"}
	errTooLong    = &requestError{errInvalid, "the request is longer than 32 MiB"}
	errCommand    = &requestError{errInvalid, "unknown command"}
	errFlags      = &requestError{errInvalid, "invalid flag for the command"}
	errBeyond     = &requestError{errInvalid, "the request goes past the end of the disk"}
	errFull       = &requestError{errNoSpace, "the request goes past the end of the disk"}
	errNoContext  = &requestError{errInvalid, "no metadata context was negotiated"}
	errFragmented = &requestError{errOverflow, "the reply is too long for a single piece"}
	errNotFast    = &requestError{errNotSup, "writing zeros is not faster than writing data"}
)

// allowed lists the valid flags of each command.
var allowed = map[uint16]uint16{
	cmdRead:        cmdFlagFUA | cmdFlagDF,
	cmdWrite:       cmdFlagFUA,
	cmdFlush:       cmdFlagFUA,
	cmdTrim:        cmdFlagFUA,
	cmdWriteZeroes: cmdFlagFUA | cmdFlagNoHole | cmdFlagFastZero,
	cmdBlockStatus: cmdFlagFUA | cmdFlagReqOne,
}

// check returns an error if a request is invalid for this export.
func (c *session) check(q request) error {
	flags, known := allowed[q.command]
	writes := q.command == cmdWrite || q.command == cmdTrim || q.command == cmdWriteZeroes
	size := uint64(c.e.Source.Size())
	inside := q.off <= size && uint64(q.length) <= size-q.off
	if !c.structured {
		flags &^= cmdFlagDF
	}
	switch {
	case !known || q.command == cmdTrim && c.flags&(flagSendTrim|flagReadOnly) == 0:
		return errCommand
	case writes && c.flags&flagReadOnly != 0:
		return errReadOnly
	case q.flags&^flags != 0:
		return errFlags
	case q.command == cmdFlush:
		return nil
	case q.command == cmdBlockStatus && !c.status:
		return errNoContext
	case !inside && (q.command == cmdWrite || q.command == cmdWriteZeroes):
		return errFull
	case !inside || q.command == cmdBlockStatus && q.length == 0:
		return errBeyond
	case q.length > maxRequest && (q.command == cmdRead || q.command == cmdWrite):
		return errTooLong
	}
	return nil
}

// errorCode returns the code of an error in the protocol.
func errorCode(err error) uint32 {
	var r *requestError
	switch {
	case errors.As(err, &r):
		return r.code
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return errNoSpace
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errPerm
	}
	return errIO
}
