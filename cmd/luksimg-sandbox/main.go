// luksimg-sandbox runs the services that luksimg uses of IBM Cloud on this machine, and
// prints what is to be set in the environment to use them:
//
//	luksimg-sandbox --ready >sandbox.env &
//	. ./sandbox.env
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/internal/output"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	cmd := command(os.Stdout, os.Stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "luksimg-sandbox: error: %v\n", err)
		os.Exit(1)
	}
}

// command is all of the program but for its signals. It runs until the context ends.
func command(stdout, stderr io.Writer) *cobra.Command {
	var o struct {
		sandbox.Options
		json, ready, verbose bool
		env                  string
	}
	c := &cobra.Command{
		Use:   "luksimg-sandbox",
		Short: "IBM Cloud's services for encrypted images, on this machine",
		Long: `luksimg-sandbox plays IAM, Key Protect, Cloud Object Storage, SoftLayer, VPC and the
audit log on ports of 127.0.0.1, until it is interrupted. Standard output gets the
settings to use them, as lines for a shell or as JSON, and is closed then.

Credentials and keys in it are real, and worth nothing elsewhere.`,
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.ready {
				o.Authorize = true
				if o.Bucket == "" {
					o.Bucket = "luksimg-images"
				}
			}
			if o.verbose {
				o.Log = func(service, method, path string, status int) {
					fmt.Fprintf(stderr, "%s %s %s %s %d\n", time.Now().Format(time.TimeOnly), service, method, path, status)
				}
			}
			s, err := sandbox.Start(c.Context(), o.Options)
			if err != nil {
				return err
			}
			text, err := s.Settings().Text(o.json)
			if err == nil && o.env != "" {
				err = output.WriteFile(o.env, text, 0o600)
			} else if err == nil {
				_, err = stdout.Write(text)
			}
			if err != nil {
				s.Close()
				return err
			}
			if f, ok := stdout.(*os.File); ok {
				f.Close() // a pipe's reader gets the end
			}
			<-s.Done()
			return s.Close()
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Dir, "dir", "", "folder to keep the state in; else it is gone at the end")
	f.IntVar(&o.Port, "port", 0, "port of the first service, the others have the next five (default: any that are free)")
	f.StringVar(&o.Bucket, "bucket", "", "make a bucket of this name, in "+sandbox.Region)
	f.BoolVar(&o.Authorize, "authorize", false, "grant the authorizations between the services")
	f.BoolVar(&o.ready, "ready", false, "be ready for imports with the API key in the settings: --authorize and a bucket, luksimg-images")
	f.DurationVar(&o.StepTime, "step-time", 0, "how long each step of an import or an order takes, such as 2s")
	f.BoolVar(&o.AuthorizeLate, "authorize-late", false, "look for the authorization of Cloud Block Storage only when a server is ordered")
	f.BoolVar(&o.json, "json", false, "print the settings as JSON")
	f.StringVar(&o.env, "env", "", "write the settings to this file, not to standard output")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "tell each request on standard error")
	return c
}
