package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
)

// serverFlags describe a server in classic infrastructure, by the names of slcli vs create.
type serverFlags struct {
	hostname, domain string
	cpus             int
	memory           int // MB
	datacenter       string
	billing          string
	disk             string
	sshKeys          []string
	userFile         string
}

func (o *serverFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.hostname, "hostname", "", "the name of the server")
	f.StringVar(&o.domain, "domain", "", "its domain")
	f.IntVar(&o.cpus, "cpu", 0, "number of cores")
	f.IntVar(&o.memory, "memory", 0, "memory in `MB`")
	f.StringVar(&o.datacenter, "datacenter", "", "where it will be, such as dal13: the template must be there")
	f.StringVar(&o.billing, "billing", "hourly", "hourly or monthly")
	f.StringVar(&o.disk, "disk", "san", "san, or local for disks of the host")
	f.StringSliceVar(&o.sshKeys, "ssh-key", nil, "the number, in VPC the ID, of a public `KEY` that the account has; may be repeated")
	f.StringVar(&o.userFile, "user-data-file", "", "`FILE` for cloud-init")
}

// request returns the order, but for the template.
func (o *serverFlags) request(ctx context.Context) (r softlayer.OrderRequest, err error) {
	switch {
	case o.billing != "hourly" && o.billing != "monthly":
		return r, fmt.Errorf("--billing %s: want hourly or monthly", o.billing)
	case o.disk != "san" && o.disk != "local":
		return r, fmt.Errorf("--disk %s: want san or local", o.disk)
	case o.hostname == "" || o.domain == "" || o.cpus <= 0 || o.memory <= 0 || o.datacenter == "":
		return r, rest.WithHint(errors.New("a server needs --hostname, --domain, --cpu, --memory and --datacenter"),
			"for example: --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13")
	}
	r = softlayer.OrderRequest{
		Hostname: o.hostname, Domain: o.domain, CPUs: o.cpus, MemoryMB: o.memory, Datacenter: o.datacenter,
		Monthly: o.billing == "monthly", LocalDisk: o.disk == "local",
	}
	for _, k := range o.sshKeys {
		n, err := strconv.Atoi(k)
		if err != nil {
			return r, fmt.Errorf("--ssh-key %s: want the number of a key", k)
		}
		r.SSHKeys = append(r.SSHKeys, n)
	}
	r.UserData, err = o.userData(ctx)
	return r, err
}

// maxUserData bounds what a file for cloud-init may have.
const maxUserData = 64 << 10

func (o *serverFlags) userData(ctx context.Context) (string, error) {
	if o.userFile == "" {
		return "", nil
	}
	b, err := stdio.ReadFile(ctx, o.userFile, maxUserData)
	return string(b), err
}

// vpcFlags say what server in VPC, beside its name, keys and user data.
type vpcFlags struct {
	zone, profile, vpcID, subnet, bootKey string
}

func (o *vpcFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.zone, "zone", "", "VPC: the zone, such as us-south-1")
	f.StringVar(&o.profile, "vpc-profile", "", "VPC: the size of the server, such as bx2-2x8")
	f.StringVar(&o.vpcID, "vpc", "", "VPC: the `ID` of the VPC")
	f.StringVar(&o.subnet, "subnet", "", "VPC: the `ID` of the subnet")
	f.StringVar(&o.bootKey, "boot-key-crn", "", "VPC: the `CRN` of the root key of the boot volume (default: that of the image)")
}

// request returns the order of a server, but for the image.
func (o *vpcFlags) request(ctx context.Context, server *serverFlags) (r vpc.InstanceRequest, err error) {
	if server.hostname == "" || o.zone == "" || o.profile == "" || o.vpcID == "" || o.subnet == "" {
		return r, errors.New("a server in VPC needs --hostname, --zone, --vpc-profile, --vpc and --subnet")
	}
	userData, err := server.userData(ctx)
	return vpc.InstanceRequest{
		Name: server.hostname, Zone: o.zone, Profile: o.profile, VPC: o.vpcID, Subnet: o.subnet,
		SSHKeys: server.sshKeys, UserData: userData, BootKeyCRN: o.bootKey,
	}, err
}
