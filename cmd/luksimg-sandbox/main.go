// luksimg-sandbox runs local replacements for the IBM Cloud services that luksimg uses. It
// prints the environment settings to use them:
//
//	luksimg-sandbox --ready >sandbox.env &
//	. ./sandbox.env
package main

import (
	"bytes"
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

// command returns the command of the program. It runs until the context ends.
func command(stdout, stderr io.Writer) *cobra.Command {
	var o struct {
		sandbox.Options
		json, ready, verbose bool
		env                  string
	}
	c := &cobra.Command{
		Use:   "luksimg-sandbox",
		Short: "Run the IBM Cloud services for encrypted images locally",
		Long: `luksimg-sandbox simulates IAM, Key Protect, Cloud Object Storage, SoftLayer, VPC and the
audit log on ports of 127.0.0.1, until it is interrupted. It prints the settings to use
them to standard output, as lines for a shell or as JSON, and then closes it.

Its credentials and keys are valid only within the sandbox.`,
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
				f.Close() // signals the end to the reader of a pipe
			}
			<-s.Done()
			if now, err := os.ReadFile(o.env); err == nil && bytes.Equal(now, text) {
				os.Remove(o.env) // else a script that waits for the next sandbox loads the settings of this one
			}
			return s.Close()
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Dir, "dir", "", "folder for the state (default: keep no state)")
	f.IntVar(&o.Port, "port", 0, "port of the first service; the others use the next five (default: free ports)")
	f.StringVar(&o.Bucket, "bucket", "", "create a bucket with this name in "+sandbox.Region)
	f.BoolVar(&o.Authorize, "authorize", false, "grant the authorizations between the services")
	f.BoolVar(&o.ready, "ready", false, "prepare for imports with the API key in the settings: --authorize, and a bucket luksimg-images")
	f.DurationVar(&o.StepTime, "step-time", 0, "duration of each step of an import or an order, such as 2s")
	f.BoolVar(&o.AuthorizeLate, "authorize-late", false, "check the authorization of Cloud Block Storage only when a server is ordered")
	f.BoolVar(&o.json, "json", false, "print the settings as JSON")
	f.StringVar(&o.env, "env", "", "write the settings to this file, not to standard output, and remove it at the end")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print each request to standard error")
	return c
}
