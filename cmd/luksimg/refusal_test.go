package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		err              error
		refused, passing bool
	}{
		{wrap.ErrWDEK, true, false},
		{wrap.ErrUnavailable, false, true},
		{&iam.Error{Status: 400, Err: iam.ErrAuth}, true, false},
		{&iam.Error{Err: iam.ErrUnavailable}, false, true},
		{&cos.Error{Status: 403, Code: "AccessDenied"}, true, false},
		{&cos.Error{Status: 404, Code: "NoSuchBucket"}, true, false},
		{&cos.Error{Status: 503, Code: "SlowDown"}, false, true},
		{cos.ErrBucketRegion, false, false}, // luksimg finds it, not the service
		{&softlayer.Error{Status: 500, Code: "SoftLayer_Exception_Public", Answered: true}, true, false},
		{&softlayer.Error{Status: 500, Code: "SoftLayer_Exception_WebService_RateLimitExceeded", Answered: true}, false, true},
		{&softlayer.Error{Status: 200, Message: "no", Answered: true}, true, false},
		{&softlayer.Error{Status: 502}, false, true},
		{&softlayer.Error{Message: "no template name"}, false, false},
		{softlayer.ErrFailed, true, false},
		{softlayer.ErrTimeout, false, true},
		{softlayer.ErrLost, false, true},
		{&vpc.Error{Status: 400, Code: "validation"}, true, false},
		{&vpc.Error{Status: 429}, false, true},
		{vpc.ErrFailed, true, false},
		{vpc.ErrLost, false, true},
		{context.Canceled, false, true},
		{&url.Error{Op: "Put", URL: "https://host", Err: syscall.ECONNRESET}, false, true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false, true},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, false, false},
	} {
		err := fmt.Errorf("step: %w", c.err)
		if rest.Refused(err) != c.refused || rest.Temporary(err) != c.passing {
			t.Errorf("%v: refused %v, passing %v; want %v, %v", c.err, rest.Refused(err), rest.Temporary(err), c.refused, c.passing)
		}
	}
}
