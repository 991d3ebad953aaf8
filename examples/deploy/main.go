// Deploy brings a disk to a server in the sandbox, which simulates IBM Cloud on this machine:
//
//	deploy disk.raw
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: deploy DISK")
	}
	ctx, name := context.Background(), os.Args[1]
	cloud, err := sandbox.Start(ctx, sandbox.Options{Bucket: "images", Authorize: true})
	check(err)
	defer cloud.Close()
	at, files := cloud.Settings(), deploy.Local{}
	plan, err := deploy.Plan{
		Source: name, Image: name + ".encrypted", Envelope: name + ".envelope.json",
		Name: "web", OSCode: "UBUNTU_22_64", Object: "cos://us-south/images/", RootKeyCRN: at.RootKey,
	}.Complete()
	check(err)
	d, err := deploy.Begin(ctx, deploy.Options{
		Plan: plan, Source: files.Source(name), Files: files, State: cos.StateFile(name + ".deploy.json"),
		Upload: cos.StateFile(name + ".upload.json"), Wait: softlayer.WaitOptions{Interval: time.Second / 10},
		Order: &deploy.Server{Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13"},
		Event: func(e deploy.Event) { fmt.Println(e.Text) },
	})
	check(err)
	c := deploy.Clients{}
	c.Identity, err = iam.New(iam.Options{URL: at.IAM, APIKey: []byte(at.APIKey)})
	check(err)
	c.RootKey, err = keyprotect.New(keyprotect.Options{CRN: at.RootKey, Tokens: c.Identity, URL: at.KMS, CorrelationID: d.ID})
	check(err)
	c.Store, err = cos.New(cos.Options{Endpoint: at.COS, Tokens: c.Identity})
	check(err)
	classic, err := softlayer.New(softlayer.Options{Endpoint: at.SoftLayer, User: at.User, APIKey: at.UserKey})
	check(err)
	c.Cloud = deploy.NewClassic(classic, func() ([]byte, error) { return []byte(at.APIKey), nil })
	r, err := d.Run(ctx, c)
	check(err)
	fmt.Println("server", r.Server, "of template", r.Name)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
