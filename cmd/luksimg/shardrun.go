package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/shard"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

// indexVariables are the environment variables in which array engines pass the number of a task: Kubernetes, Slurm,
// AWS Batch, Google Batch, and IBM Code Engine.
var indexVariables = []string{"JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "BATCH_TASK_INDEX", codeEngineIndex}

// Code Engine's variable has a common name. It counts only if the name of a job run, which Code Engine sets too, is
// set.
const (
	codeEngineIndex = "JOB_INDEX"
	codeEngineRun   = "CE_JOBRUN"
)

// index returns the value of one of the indexVariables, or "".
func index(name string) string {
	if name == codeEngineIndex && os.Getenv(codeEngineRun) == "" {
		return ""
	}
	return os.Getenv(name)
}

// indexNames lists the indexVariables for a person.
func indexNames() string {
	return strings.Join(indexVariables[:len(indexVariables)-1], ", ") + ", or " + codeEngineIndex + " where " + codeEngineRun + " is set"
}

type shardRunFlags struct {
	*global
	key      keys.Flags
	root     rootKeyFlags
	source   sourceFlags
	progress talk.Progress
	shard    string
	from     string
	jobs     flags.Jobs
	parts    int
}

func newShardRun(g *global) *cobra.Command {
	o := &shardRunFlags{global: g}
	c := &cobra.Command{
		Use:   "run JOB",
		Short: "Make one shard of an image",
		Long: `Run makes one shard of the image that shard plan planned in JOB. JOB is a file, - for standard input, or cos://.
--shard I/N chooses the shard, with I from 0. N is optional and must be the number in the plan. Without the
flag, an array engine supplies I in ` + indexNames() + `.

The flags for the key are those of decrypt. If a root key wrapped the key into JOB, it can also unwrap it:
--kms or --root-key-crn names that root key, or only its service. Without these flags and without a key,
$LUKSIMG_ROOT_KEY_CRN names it. A fixed VHD has no key.

A shard can run on two machines at once, or again after it was killed: run skips parts that exist as
recorded. If the image is finished, run does nothing. If run is interrupted, the exit code is 5. A source
that has changed since the plan is an error.

Run keeps a few parts of the image in memory at a time: see --parts.` + keyServiceHelp + cosHelp,
		Example: `  luksimg shard run --key-file dek.b64 --shard 3/16 web.job
  SLURM_ARRAY_TASK_ID=3 luksimg shard run --kms ibm cos://us-south/images/web.job`,
		Args: flags.Args("JOB"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.shard, "shard", "", "make shard I, from 0 on, of N: `I/N` (default: from the array engine)")
	f.StringVar(&o.from, "source", "", "read this `SRC` in place of the one in JOB: the same file under another name")
	o.key.Add(c, "")
	o.root.add(c, &g.cloud)
	f.Lookup("kms").Usage = "the root key that wrapped the key into JOB, by its `URI`: " + kmsNames + "; ibm, vault or awskms for the one that JOB names"
	g.kdf.add(c)
	o.source.prefix = "source-"
	o.source.unlock.key.Add(c, "source-")
	o.jobs.Add(c)
	f.IntVar(&o.parts, "parts", 0, "number of parts in memory at a time (default: as many as fit in 512 MiB, from 2 to 4)")
	f.StringVar(&o.source.unpack.scratchDir, "scratch-dir", "", "")
	f.MarkHidden("scratch-dir")
	o.progress.Add(c)
	g.web.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// shardRunResult is the output of shard run --json.
type shardRunResult struct {
	Job         string `json:"job"`
	ID          string `json:"id"`
	Destination string `json:"destination"`
	Shards      int    `json:"shards"`
	*shard.RunResult
	Warnings []string `json:"warnings,omitempty"`
}

// which returns the number of the shard to make.
func (o *shardRunFlags) which(j *shard.Job) (int, error) {
	text, from := o.shard, "--shard"
	if text == "" {
		for _, name := range indexVariables {
			v := index(name)
			switch {
			case v == "":
			case text == "":
				text, from = v, name
			case v != text:
				return 0, rest.WithHint(fmt.Errorf("%s is %.20q, but %s is %.20q", from, text, name, v), "give the shard with --shard I/N")
			}
		}
	}
	if text == "" {
		return 0, rest.WithHint(errors.New("no shard is given"), "give --shard I/N, where I counts from 0; an array engine gives I in "+indexNames())
	}
	number, of, hasOf := strings.Cut(text, "/")
	i, err := strconv.Atoi(number)
	n := j.Shards
	if err == nil && hasOf && from == "--shard" {
		n, err = strconv.Atoi(of)
	}
	switch {
	case err != nil || hasOf && from != "--shard":
		return 0, fmt.Errorf("%s %.40q: want I/N", from, text)
	case n != j.Shards:
		return 0, rest.WithHint(fmt.Errorf("%s %s: the job has %s", from, text, term.Count(j.Shards, "shard", "shards")), "run as many tasks as the job has shards")
	case i < 0 || i >= n:
		return 0, rest.WithHint(fmt.Errorf("%s %s: the job has shards 0 to %d", from, text, n-1), "shards count from 0: start the array at 0")
	}
	return i, nil
}

// interruptedShard marks an error after a cancellation as one from which the same command continues.
func interruptedShard(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.As(err, new(*shard.InterruptedError)) {
		return err
	}
	return &shard.InterruptedError{Err: err}
}

func (o *shardRunFlags) run(c *cobra.Command, name string) (err error) {
	ctx, t := c.Context(), &o.Talk
	defer func() { err = interruptedShard(ctx, err) }()
	if err := errors.Join(flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd", "kms", "root-key-crn"), o.source.check(c), o.progress.Check()); err != nil {
		return err
	}
	j, target, err := o.openJob(ctx, name)
	if err != nil {
		return err
	}
	i, err := o.which(j)
	if err != nil {
		return err
	}
	s, err := o.openSource(c, j)
	if err != nil {
		return err
	}
	defer s.close()
	if err := j.Source.Stamp.Check(s.stamp()); err != nil { // before asking for a key
		return s.wrap(err)
	}
	key, err := o.runKey(ctx, t, j)
	if err != nil {
		return err
	}
	defer clear(key)
	p, err := o.progress.Start(t, "shard", j.ShardSize(i))
	if err != nil {
		return err
	}
	r, err := j.Run(ctx, target, s.img, key, shard.RunOptions{
		Shard: i, Jobs: o.parts, Stamp: s.stamp(), Unchanged: s.unchanged, Progress: p.Add,
		Build: luksimg.BuildOptions{LUKS: o.kdf.apply(luks.OpenOptions{}), RunOptions: luksimg.RunOptions{Jobs: int(o.jobs)}},
	})
	p.Done()
	if err != nil {
		if o.key.Given() {
			err = o.key.Explain(err, key)
		}
		return err
	}
	text := talk.Line("%s: shard %d of %d, %s: %s, %d made, %d existed", j.Destination, i, j.Shards, term.Bytes(r.Bytes), term.Count(r.Parts, "part", "parts"), r.Sent, r.Found+r.Skipped)
	if r.Finished {
		text = talk.Line("%s: shard %d of %d: the image is already finished", j.Destination, i, j.Shards)
	}
	return o.Result(shardRunResult{name, j.ID, j.Destination, j.Shards, r, o.Warnings}, text)
}

// kmsOf returns the flag --kms for the root key of an envelope.
func kmsOf(e *wrap.Envelope) string {
	u, err := kmsuri.Of(e)
	switch {
	case err != nil:
		return "--kms URI"
	case u.Scheme == kmsuri.Local:
		return "--kms local:FILE"
	}
	return "--kms " + string(u.Scheme)
}

// openSource opens the disk of a job with the settings of the plan.
func (o *shardRunFlags) openSource(c *cobra.Command, j *shard.Job) (*source, error) {
	name := j.Source.Name
	switch {
	case o.from != "":
		name = o.from
	case isRedacted(name):
		return nil, rest.WithHint(fmt.Errorf("%s: the job lacks the query of the URL, which can be secret", name), "give the whole address with --source")
	case !isRemote(name) && !isAbs(name):
		return nil, fmt.Errorf("%w: the source %.200q is neither an absolute path, nor an object, nor a URL", shard.ErrJob, name)
	}
	o.source.take(j.Source.Read)
	return o.source.open(c, o.global, name)
}

// runKey returns the key that the flags give, or that the root key has wrapped into the job. It returns nil for an
// unencrypted image.
func (o *shardRunFlags) runKey(ctx context.Context, t *talk.Talk, j *shard.Job) ([]byte, error) {
	if !j.Image.Encrypted() {
		if o.key.Given() || o.root.given() {
			return nil, rest.WithHint(errors.New("a key is given, but the image of the job is not encrypted"), "leave the key off, or plan the job without --fixed")
		}
		return nil, nil
	}
	if !o.root.given() && (o.key.Given() || j.Envelope == nil) {
		return o.key.Read(ctx, t, j.Destination, false)
	}
	if j.Envelope == nil {
		return nil, rest.WithHint(errors.New("the job has no wrapped key"), "give the key with --key-file, or plan the job with --kms")
	}
	e, err := wrap.ReadEnvelope(bytes.NewReader(j.Envelope))
	if err != nil {
		return nil, err
	}
	if !o.root.given() && (e.RootKeyCRN == "" || os.Getenv(envRootKey) == "") {
		key, err := o.key.Read(ctx, t, j.Destination, false)
		if errors.Is(err, term.ErrNoTerminal) {
			err = rest.WithHint(err, "the job has the wrapped key: "+kmsOf(e)+" opens it; or give the key with --key-file, --passphrase-file or --key-fd")
		}
		return key, err
	}
	root, err := o.root.rootKeyOf(ctx, e)
	if err != nil {
		return nil, err
	}
	opened, err := wrap.Open(ctx, root, e)
	if err != nil {
		return nil, err
	}
	return opened.Disk, nil
}
