package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// everyCall are faults that happen to the first request of every call.
var everyCall = map[string][]fault.Fault{
	"503":  {{Each: true, Status: 503, RetryAfter: "0", Body: "<html>busy</html>"}},
	"429":  {{Each: true, Status: 429, RetryAfter: "0", Body: "{}"}},
	"drop": {{Each: true, Drop: true}},
	"401": {
		{Each: true, TokenExpired: true, Path: "/v1/**"}, {Each: true, TokenExpired: true, Path: "/api/**"},
		{Each: true, TokenExpired: true, Path: "/" + testBucket + "/**"},
	},
}

// faulty is a cloud in which every call fails once.
func faulty(t *testing.T, name string) *cloud {
	c := ready(t)
	for _, f := range everyCall[name] {
		if err := c.Faults().Arm(f); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// made returns how many templates, images, servers and instances there are.
func (c *cloud) made() string {
	c.t.Helper()
	c.Faults().Clear()
	templates, err := c.client().Templates(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	servers, err := c.client().Servers(c.t.Context(), "web1", "example.com")
	if err != nil {
		c.t.Fatal(err)
	}
	identity, err := iam.New(iam.Options{URL: c.IAM, APIKey: []byte(c.APIKey)})
	if err != nil {
		c.t.Fatal(err)
	}
	cl, err := vpc.New(vpc.Options{Endpoint: c.VPC, Tokens: identity})
	if err != nil {
		c.t.Fatal(err)
	}
	images, err := cl.Images(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	instances, err := cl.Instances(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%d templates, %d servers, %d images, %d instances", len(templates), len(servers), len(images), len(instances))
}

// TestEveryCallFailsOnce: one failure of each call that a deployment makes, in either
// cloud, does not end it, and nothing is made twice.
func TestEveryCallFailsOnce(t *testing.T) {
	for name := range everyCall {
		t.Run(name, func(t *testing.T) {
			for target, want := range map[string]string{
				deploy.Classic: "1 templates, 1 servers, 0 images, 0 instances", deploy.VPC: "0 templates, 0 servers, 1 images, 1 instances",
			} {
				c := faulty(t, name)
				if target == deploy.Classic {
					c.ok(c.deploy(server...)...)
				} else {
					c.ok(c.deployVPC(instance...)...)
				}
				hits := c.Faults().Hits()
				if got := c.made(); got != want || hits < 5 {
					t.Errorf("%s: %s after %d faults, want %s", target, got, hits, want)
				}
			}
		})
	}
}

// TestImportOrderFaults: the same for import and order, one after the other.
func TestImportOrderFaults(t *testing.T) {
	for name := range everyCall {
		t.Run(name, func(t *testing.T) {
			c := ready(t)
			c.wrapped("disk.raw")
			again := func() {
				c.Faults().Clear()
				for _, f := range everyCall[name] {
					if err := c.Faults().Arm(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			again()
			c.ok("import", "--envelope", "web.envelope.json", "--os-code", "UBUNTU_22_64", "--cloud-init", "--poll", "10ms", "--settle", "100ms",
				"--name", "one", "--note", "n", "cos://us-south/"+testBucket+"/disk.raw")
			again()
			c.ok(append(append([]string{"order", "--poll", "10ms", "--settle", "100ms"}, server[1:]...), "one")...)
			// An image in VPC that is not what it is told to be fails, and is made once.
			again()
			c.fails(4, "failed", "import", "--target", "vpc", "--wrapped-dek", "AAAA", "--root-key-crn", c.RootKey, "--os-code", "ubuntu-22-04-amd64", "--poll", "10ms",
				"--settle", "100ms", "--name", "two", "cos://us-south/"+testBucket+"/none.qcow2")
			if got := c.made(); got != "1 templates, 1 servers, 1 images, 0 instances" {
				t.Error(got)
			}
		})
	}
}

// TestLatePolicy: an authorization that is not seen yet is waited for.
func TestLatePolicy(t *testing.T) {
	c := ready(t)
	if err := c.Faults().Arm(fault.Fault{Path: "/v1/policies", Method: "GET", Status: 200, Body: `{"policies":[]}`, Count: 3}); err != nil {
		t.Fatal(err)
	}
	c.ok(c.deploy("--settle", "1m")...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(c.said.String(), "up to 1m0s to be seen") {
		t.Error(c.said.String())
	}
}

// TestRefusedHints: what is said to do about a refusal goes with it.
func TestRefusedHints(t *testing.T) {
	c := ready(t)
	if err := c.Faults().Arm(fault.Fault{Path: "/rest/v3.1/**", Status: 500, Body: `{"error":"The disk is not one that is liked.","code":"SoftLayer_Exception_Public"}`, Count: -1}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if errs := c.fails(4, "not one that is liked", c.deploy()...); strings.Contains(errs, "later") {
		t.Error(errs)
	}
	if n := c.called("/createFromIcos.json"); n > 1 || time.Since(start) > time.Minute {
		t.Errorf("what was refused was sent %d times, in %v", n, time.Since(start))
	}
	c.Faults().Clear()
	if err := c.Faults().Arm(fault.Fault{Path: "/v1/images", Status: 401, Body: `{"errors":[{"code":"not_authorized","message":"no"}]}`, Count: -1}); err != nil {
		t.Fatal(err)
	}
	if errs := c.fails(4, "HTTP 401", c.deployVPC("--name", "other")...); strings.Contains(errs, "another name") || !strings.Contains(errs, "API key") {
		t.Error(errs)
	}
}
