// Command luksimg encrypts disk images of virtual machines with LUKS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/claims"
	"github.com/luksimg/luksimg/internal/term"
	_ "github.com/luksimg/luksimg/luks/ciphers" // for images that others made
)

func main() {
	hideMemory()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	// After the first signal, which ends the job in an orderly way, a second one
	// ends the process.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err := os.Stdout.Close(); err != nil && code == exitDone {
		code = fail(err, os.Stderr, false)
	}
	os.Exit(code)
}

// endSignals are those that end a job in an orderly way. One that was ignored when the
// process began, as nohup does with SIGHUP, stays so.
func endSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
}

// run executes the command and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	out := &resultWriter{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return exitDone
	}
	// An error in the flags may be in front of --json.
	asked, _ := root.PersistentFlags().GetBool("json")
	return fail(err, stderr, asked || slices.Contains(args, "--json"))
}

// fail prints an error and returns the exit code that goes with it.
func fail(err error, stderr io.Writer, asJSON bool) int {
	if asJSON {
		b, _ := json.Marshal(errorResult{"error", message(err), hint(err), exitCode(err)})
		fmt.Fprintf(stderr, "%s\n", term.VisibleJSON(b))
		return exitCode(err)
	}
	for _, m := range messages(err) {
		fmt.Fprintf(stderr, "luksimg: error: %s\n", term.Visible(m))
	}
	if h := hint(err); h != "" {
		fmt.Fprintf(stderr, "luksimg: hint: %s\n", term.Visible(h))
	}
	return exitCode(err)
}

// errorResult is what goes to standard error, on a line of its own, if a verb fails with
// --json.
type errorResult struct {
	Type     string `json:"type"` // "error"
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	ExitCode int    `json:"exit_code"`
}

// global holds the flags that every verb has.
type global struct {
	quiet bool
	json  bool
	kdf   kdfLimits
	cloud cloudFlags // the same for all names of a verb that may be cos://
	files claims.Set
}

func newRoot() *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:   "luksimg",
		Short: "Encrypt disk images of virtual machines with LUKS",
		Long: `luksimg encrypts disk images of virtual machines with LUKS, and decrypts, verifies
and inspects them, without root, qemu or cryptsetup.

Results go to standard output; talk, progress and errors to standard error.
Exit codes: 0 done, 1 failure or usage, 3 the images differ, 4 refused by a service,
5 interrupted and the same command goes on where it stopped, 12 wrong passphrase,
130 cancelled.`,
		Example: `  luksimg keygen dek.b64
  luksimg encrypt --key-file dek.b64 disk.vhd disk.luks
  luksimg verify --key-file dek.b64 disk.vhd disk.luks`,
		PersistentPreRunE: func(c *cobra.Command, args []string) error { return g.claim(c, args) },
		Version:           readVersion().Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetVersionTemplate("luksimg {{.Version}}\n")
	root.PersistentFlags().BoolVarP(&g.quiet, "quiet", "q", false, "print nothing but errors and the result")
	root.PersistentFlags().BoolVar(&g.json, "json", false, "print the result as one JSON object")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return withHint(err, c.CommandPath()+" --help lists the flags")
	})
	root.AddCommand(
		newEncrypt(g),
		newDecrypt(g),
		newReencrypt(g),
		newInspect(g),
		newVerify(g),
		newConvert(g),
		newCat(g),
		newKeygen(g),
		newWrap(g),
		newUnwrap(g),
		newRewrap(g),
		newUpload(g),
		newDownload(g),
		newKey(g),
		newHeader(g),
		newToken(g),
		newSetup(g),
		newExport(g),
		newImport(g),
		newOrder(g),
		newDeploy(g),
		newAudit(g),
		newBench(g),
		newMeasure(g),
		newMan(g),
		newVersion(g),
	)
	return root
}

// args returns a check that there are exactly the arguments in usage.
func args(usage ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if len(got) == len(usage) {
			return nil
		}
		return withHint(fmt.Errorf("%s takes %d arguments, %d given", c.Name(), len(usage), len(got)),
			"usage: "+c.UseLine())
	}
}
