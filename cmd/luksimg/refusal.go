package main

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/wrap"
)

// errRefused: the cloud would refuse, as its own records tell: a bucket in the wrong place, an
// authorization that is missing.
var errRefused = errors.New("the cloud would refuse it")

// refused tells whether a service said no: for the credentials, for what they may do, or
// for what was asked.
func refused(err error) bool {
	for _, target := range []error{
		errRefused, wrap.ErrRefused, wrap.ErrWDEK, cos.ErrAccess,
		softlayer.ErrFailed, softlayer.ErrNotFound, softlayer.ErrExists, vpc.ErrExists,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	r := interface{ Refused() bool }(nil)
	return errors.As(err, &r) && r.Refused()
}

// passing tells whether the same call may work later.
func passing(err error) bool {
	for _, target := range []error{
		context.Canceled, context.DeadlineExceeded, wrap.ErrUnavailable, iam.ErrUnavailable,
		softlayer.ErrTimeout, softlayer.ErrLost,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	if errors.As(err, new(*url.Error)) || errors.As(err, new(*net.OpError)) { // no answer
		return true
	}
	t := interface{ Temporary() bool }(nil)
	return errors.As(err, &t) && t.Temporary()
}
