package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

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
		errRefused, wrap.ErrRefused, wrap.ErrWDEK, iam.ErrRefused, cos.ErrAccess,
		softlayer.ErrFailed, softlayer.ErrNotFound, softlayer.ErrExists,
		vpc.ErrFailed, vpc.ErrNotFound, vpc.ErrExists,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	if e := new(cos.Error); errors.As(err, &e) {
		return e.Is(cos.ErrNotFound) || e.Is(cos.ErrExists) || e.Is(cos.ErrBucketRegion)
	}
	if e := new(softlayer.Error); errors.As(err, &e) {
		if strings.Contains(e.Code, "RateLimit") {
			return false
		}
		return e.Status == http.StatusOK && e.Unwrap() == nil || said(e.Status) || e.Code != ""
	}
	if e := new(vpc.Error); errors.As(err, &e) {
		return said(e.Status)
	}
	return false
}

// said tells whether a status of HTTP is a refusal, and not a limit of the rate.
func said(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

// passing tells whether the same call may work later.
func passing(err error) bool {
	for _, target := range []error{
		context.Canceled, context.DeadlineExceeded, wrap.ErrUnavailable, iam.ErrUnavailable,
		softlayer.ErrTimeout, softlayer.ErrLost, vpc.ErrTimeout, vpc.ErrLost,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	if errors.As(err, new(*url.Error)) || errors.As(err, new(*net.OpError)) { // no answer
		return true
	}
	switch e, s, v := new(cos.Error), new(softlayer.Error), new(vpc.Error); {
	case errors.As(err, &e):
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests
	case errors.As(err, &s):
		return s.Status == 0 && s.Unwrap() != nil || s.Status >= 500 && s.Code == "" || s.Status == http.StatusTooManyRequests || strings.Contains(s.Code, "RateLimit")
	case errors.As(err, &v):
		return v.Status == 0 && v.Unwrap() != nil || v.Status >= 500 || v.Status == http.StatusTooManyRequests
	}
	return false
}
