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

// everyCall are faults that hit the first request of every call.
var everyCall = map[string][]fault.Fault{
	"503":  {{Each: true, Status: 503, RetryAfter: "0", Body: "<html>busy</html>"}},
	"429":  {{Each: true, Status: 429, RetryAfter: "0", Body: "{}"}},
	"drop": {{Each: true, Drop: true}},
	"401": {
		{Each: true, TokenExpired: true, Path: "/v1/**"}, {Each: true, TokenExpired: true, Path: "/api/**"},
		{Each: true, TokenExpired: true, Path: "/" + testBucket + "/**"},
	},
}

// faulty returns a cloud in which every call fails once.
func faulty(t *testing.T, name string) *cloud {
	c := ready(t)
	c.arm(everyCall[name]...)
	return c
}

// arm replaces the faults.
func (c *cloud) arm(faults ...fault.Fault) {
	c.t.Helper()
	c.Faults().Clear()
	for _, f := range faults {
		if err := c.Faults().Arm(f); err != nil {
			c.t.Fatal(err)
		}
	}
}

// made returns the numbers of templates, images, servers and instances.
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
	return sum([4]int{len(templates), len(servers), len(images), len(instances)})
}

// TestEveryCallFailsOnce lets each call of a deployment fail once, in both clouds. The deployment must succeed and
// create nothing twice.
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

// TestImportOrderFaults lets each call of import and of order fail once, in both clouds. Both must succeed and create
// nothing twice.
func TestImportOrderFaults(t *testing.T) {
	c := ready(t)
	c.stock(deploy.Classic, deploy.VPC)
	var want [4]int
	for name := range everyCall {
		for k, target := range []string{deploy.Classic, deploy.VPC} {
			for part, args := range [][]string{c.importing(target, "web-"+name), c.ordering(target, "web-"+name)} {
				c.arm(everyCall[name]...)
				before := c.Faults().Hits()
				c.ok(args...)
				hits := c.Faults().Hits() - before
				want[2*k+part]++
				tokens := name == "401" && target == deploy.Classic // its credentials do not expire
				if got := c.made(); got != sum(want) || hits < 3 != tokens {
					t.Errorf("%s, %s: %s after %d faults, want %s", name, target, got, hits, sum(want))
				}
			}
		}
	}
	// An image in VPC with wrong data fails, and is created only once.
	c.arm(everyCall["503"]...)
	c.fails(4, "failed", "import", "--target", "vpc", "--wrapped-dek", "AAAA", "--root-key-crn", c.RootKey, "--os-code", "ubuntu-22-04-amd64", "--poll", "10ms",
		"--settle", "100ms", "--name", "two", "cos://us-south/"+testBucket+"/none.qcow2")
	if want[2]++; c.made() != sum(want) {
		t.Error(c.made())
	}
}

// TestRefusedOnce has SoftLayer refuse each call of import and of order in turn, with an HTTP 500. That must end the
// command, without a hint to try later. Nothing may be created twice. If nothing was created before the refusal, the
// same command must then succeed.
func TestRefusedOnce(t *testing.T) {
	c := ready(t)
	c.stock(deploy.Classic)
	refusal := fault.Fault{Path: "/rest/v3.1/**", Status: 500, Body: `{"error":"This is not liked.","code":"SoftLayer_Exception_Public"}`}
	var want [4]int
	for part, wanted := range []int{3, 4} { // find, create, wait; find, search for a duplicate, order, wait
		for refusal.Skip = 0; ; refusal.Skip++ {
			name := fmt.Sprintf("web-%d", refusal.Skip)
			args := c.importing(deploy.Classic, name)
			if part == 1 {
				args = c.ordering(deploy.Classic, "web-0")
			}
			c.arm(refusal)
			code, _, errs := c.run("luksimg", args...)
			if want[part]++; code == 0 {
				if got := c.made(); got != sum(want) || refusal.Skip < wanted {
					t.Errorf("%s: %s after %d calls, want %s", args[0], got, refusal.Skip, sum(want))
				}
				break
			}
			if code != 4 || !strings.Contains(errs, "not liked") || strings.Contains(errs, "later") {
				t.Errorf("%s, call %d: exit code %d\n%s", args[0], refusal.Skip, code, errs)
			}
			if got := c.made(); part == 0 || got != sum(want) { // the note identifies an import
				c.ok(args...)
			}
			if got := c.made(); got != sum(want) {
				t.Errorf("%s, call %d: %s, want %s", args[0], refusal.Skip, got, sum(want))
			}
		}
	}
}

// stock stores an encrypted image for each target in the bucket, and its envelope in the folder.
func (c *cloud) stock(targets ...string) {
	c.t.Helper()
	for _, target := range targets {
		profile, object := "classic-luks", "disk.raw"
		if target == deploy.VPC {
			profile, object = "vpc-qcow2", "disk.qcow2"
		}
		c.ok("encrypt", "--profile", profile, "--generate-key", target+".dek", "disk.raw", "cos://us-south/"+testBucket+"/"+object)
		c.ok("wrap", "--profile", profile, "--root-key-crn", c.RootKey, "--key-file", target+".dek", "--envelope", target+".json")
	}
}

// importing returns the arguments of an import of the image from stock.
func (c *cloud) importing(target, name string) []string {
	args := []string{"import", "--target", target, "--envelope", target + ".json", "--name", name, "--poll", "10ms", "--settle", "100ms"}
	if target == deploy.VPC {
		return append(args, "--os-code", "ubuntu-22-04-amd64", "cos://us-south/"+testBucket+"/disk.qcow2")
	}
	return append(args, "--note", "n", "--os-code", "UBUNTU_22_64", "--cloud-init", "cos://us-south/"+testBucket+"/disk.raw")
}

// ordering returns the arguments to order a server from an image. Names of servers are unique in VPC.
func (c *cloud) ordering(target, image string) []string {
	args := append([]string{"order", "--target", target, "--poll", "10ms", "--settle", "100ms"}, server[1:]...)
	if target == deploy.VPC {
		args = append(append(args[:7:7], "--region", "us-south"), instance[1:]...)
		args = append(args, "--hostname", image)
	}
	return append(args, image)
}

// sum formats the numbers of templates, servers, images and instances like made.
func sum(n [4]int) string {
	return fmt.Sprintf("%d templates, %d servers, %d images, %d instances", n[0], n[1], n[2], n[3])
}

// TestLatePolicy checks that luksimg waits for an authorization that is not effective yet.
func TestLatePolicy(t *testing.T) {
	c := ready(t)
	if err := c.Faults().Arm(fault.Fault{Path: "/v1/policies", Method: "GET", Status: 200, Body: `{"policies":[]}`, Count: 3}); err != nil {
		t.Fatal(err)
	}
	c.ok(c.deploy("--settle", "1m")...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(c.said.String(), "waiting up to 1m0s for a new authorization") {
		t.Error(c.said.String())
	}
}

// TestRefusedHints checks the hints of refusals.
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
		t.Errorf("a refused request was sent %d times, in %v", n, time.Since(start))
	}
	c.Faults().Clear()
	if err := c.Faults().Arm(fault.Fault{Path: "/v1/images", Status: 401, Body: `{"errors":[{"code":"not_authorized","message":"no"}]}`, Count: -1}); err != nil {
		t.Fatal(err)
	}
	if errs := c.fails(4, "HTTP 401", c.deployVPC("--name", "other")...); strings.Contains(errs, "another name") || !strings.Contains(errs, "API key") {
		t.Error(errs)
	}
}
