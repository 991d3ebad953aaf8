// Command luksimg encrypts disk images of virtual machines with LUKS.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/complete"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/typo"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/usage"
	"github.com/luksimg/luksimg/internal/claims"
	"github.com/luksimg/luksimg/internal/hide"
	"github.com/luksimg/luksimg/internal/stdio"
	_ "github.com/luksimg/luksimg/luks/ciphers" // for images that others made
)

func main() {
	hide.Memory()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	// The first signal ends the job in an orderly way. A second one kills the process.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err := os.Stdout.Close(); err != nil && code == exit.Done {
		code = exit.Print(err, os.Stderr, false, nil)
	}
	os.Exit(code)
}

// endSignals returns the signals that end a job in an orderly way. A signal that was ignored when the process began
// stays ignored, as nohup does with SIGHUP.
func endSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
}

// run executes the command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	out := &stdio.ResultWriter{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	root.InitDefaultHelpCmd()
	if complete.Asked(args) {
		complete.Register(root, completionKinds())
	}
	root.InitDefaultCompletionCmd(args...)
	err := typo.Verb(root, args)
	var has func(string) bool
	if err == nil {
		var verb *cobra.Command
		verb, err = root.ExecuteContextC(ctx)
		has = func(flag string) bool { return verb.Flag(flag) != nil }
	}
	if err == nil {
		err = out.Err
	}
	if err == nil {
		return exit.Done
	}
	// An error in the flags can occur before --json is parsed.
	asked, _ := root.PersistentFlags().GetBool("json")
	return exit.Print(err, stderr, asked || slices.Contains(args, "--json"), has)
}

// global holds the flags that all verbs share.
type global struct {
	talk.Talk
	kdf   kdfLimits
	cloud cloudFlags // the same for all names of a verb that may be cos:// shared by all arguments that can be cos://
	web   webFlags   // and https:// shared by all arguments that can be https://
	files claims.Set
}

func newRoot() *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:   "luksimg",
		Short: "Encrypt disk images of virtual machines with LUKS",
		Long: `luksimg encrypts disk images of virtual machines with LUKS, and decrypts, verifies
and inspects them, without root, qemu or cryptsetup.

Results go to standard output. Messages, progress and errors go to standard error.
Exit codes: 0 done, 1 failure or wrong usage, 3 the images differ, or a header does not conform to a policy, 4 refused by a service,
5 interrupted: run the same command again to resume, 12 wrong passphrase,
130 cancelled.`,
		Example: `  luksimg keygen dek.b64
  luksimg encrypt --key-file dek.b64 disk.vhd disk.luks
  luksimg verify --key-file dek.b64 disk.vhd disk.luks`,
		PersistentPreRunE: func(c *cobra.Command, args []string) error {
			g.Out, g.Err = c.OutOrStdout(), c.ErrOrStderr()
			if err := g.claim(c, args); err != nil {
				return err
			}
			return g.kdf.policy.load(c.Context())
		},
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // typo makes better suggestions
	}
	// cobra's version flag uses a template, which would make the program 3 MB larger.
	version := root.Flags().BoolP("version", "v", false, "version for luksimg")
	root.RunE = func(c *cobra.Command, _ []string) error {
		if *version {
			_, err := fmt.Fprintf(c.OutOrStdout(), "luksimg %s\n", readVersion().Version)
			return err
		}
		_, err := io.WriteString(c.OutOrStdout(), overview)
		return err
	}
	root.PersistentFlags().BoolVarP(&g.Quiet, "quiet", "q", false, "print nothing but errors and the result")
	root.PersistentFlags().BoolVar(&g.AsJSON, "json", false, "print the result as one JSON object")
	root.SetUsageFunc(usage.Write)
	root.SetFlagErrorFunc(typo.Flag)
	root.AddCommand(
		newEncrypt(g),
		newDecrypt(g),
		newReencrypt(g),
		newInspect(g),
		newVerify(g),
		newCheck(g),
		newConvert(g),
		newCat(g),
		newLs(g),
		newCp(g),
		newServe(g),
		newKeygen(g),
		newWrap(g),
		newUnwrap(g),
		newRewrap(g),
		newRootKey(g),
		newUpload(g),
		newDownload(g),
		newShard(g),
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
