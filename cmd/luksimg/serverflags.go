package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/internal/stdio"
)

// maxUserData is the largest cloud-init file in bytes.
const maxUserData = 64 << 10

// serverFlags describe a server, with the names of slcli vs create.
type serverFlags struct {
	deploy.Server
	userFile string
}

func (o *serverFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.Hostname, "hostname", "", "the name of the server")
	f.StringVar(&o.Domain, "domain", "", "the domain of the server")
	f.IntVar(&o.CPUs, "cpu", 0, "number of cores")
	f.IntVar(&o.MemoryMB, "memory", 0, "memory in `MB`")
	f.StringVar(&o.Datacenter, "datacenter", "", "data center, such as dal13; the template must be there")
	f.StringVar(&o.Billing, "billing", "hourly", "billing: hourly or monthly")
	f.StringVar(&o.Disk, "disk", "san", "type of the disk: san, or local for a disk of the host")
	f.StringSliceVar(&o.SSHKeys, "ssh-key", nil, "number (VPC: ID) of a public `KEY` in the account; may be repeated")
	f.StringVar(&o.userFile, "user-data-file", "", "`FILE` with user data for cloud-init")
	f.StringVar(&o.Zone, "zone", "", "VPC: the zone, such as us-south-1")
	f.StringVar(&o.Profile, "vpc-profile", "", "VPC: the size of the server, such as bx2-2x8")
	f.StringVar(&o.VPC, "vpc", "", "VPC: the `ID` of the VPC")
	f.StringVar(&o.Subnet, "subnet", "", "VPC: the `ID` of the subnet")
	f.StringVar(&o.BootKeyCRN, "boot-key-crn", "", "VPC: the `CRN` of the root key of the boot volume (default: that of the image)")
}

// read checks the flags and reads the cloud-init file.
func (o *serverFlags) read(ctx context.Context, target string) (*deploy.Server, error) {
	if err := o.Check(target); err != nil || o.userFile == "" {
		return &o.Server, err
	}
	b, err := stdio.ReadFile(ctx, o.userFile, maxUserData)
	o.UserData = string(b)
	return &o.Server, err
}
