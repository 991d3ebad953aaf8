package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
)

type auditVerbFlags struct {
	*global
	of    audit.Query
	ask   audit.QueryRequest
	since time.Duration
	svg   svgFlags
}

func newAudit(g *global) *cobra.Command {
	o := &auditVerbFlags{global: g}
	c := &cobra.Command{
		Use:   "audit [FILE...]",
		Short: "Reconstruct the audit trail of an encrypted image and flag the gaps",
		Long: `Audit reads audit events (CADF: exports of Activity Tracker and Cloud Logs, and what --audit-log
wrote) from files, from standard input with -, or, without any, from IBM Cloud Logs at --logs-url. It
reconstructs the audit trail of one image: root key created, data key wrapped, image imported, key
unwrapped by the cloud, server provisioned. It flags what is missing, out of order or refused.

--root-key-crn, --image and --server select the trail. Events of a key service do not name an image, so
--root-key-crn shows all events of the root key, including those of other images whose keys it wrapped.

--svg draws the chain of events as a timeline, even if the chain is broken. Open the drawing in a browser.

The exit code is 1 if the chain is broken.` + cloudHelp,
		Example: `  luksimg audit --root-key-crn CRN --image GLOBAL_IDENTIFIER events.json deploy.audit
  luksimg audit --root-key-crn CRN --svg chain.svg events.json
  luksimg audit --root-key-crn CRN --logs-url https://INSTANCE.api.us-south.logs.cloud.ibm.com --since 72h`,
		RunE: func(c *cobra.Command, files []string) error { return o.run(c, files) },
	}
	f := c.Flags()
	f.StringVar(&o.of.RootKeyCRN, "root-key-crn", "", "the `CRN` of the root key (default: $"+envRootKey+")")
	f.StringVar(&o.of.ImageID, "image", "", "only this image: the global identifier of the template, or the `ID` of the VPC image")
	f.StringVar(&o.of.ServerID, "server", "", "only this server: its `ID`, or in classic infrastructure its host name with the domain")
	f.StringSliceVar(&o.of.Services, "service", nil, "`NAME` or ID of another cloud service that unwraps keys; may be repeated")
	f.StringVar(&o.ask.Query, "query", "", "query for Cloud Logs (default: all audit events)")
	f.StringVar(&o.ask.Syntax, "syntax", "dataprime", "syntax of --query: dataprime or lucene")
	f.StringVar(&o.ask.Tier, "tier", "frequent_search", "where Cloud Logs searches: frequent_search or archive")
	f.DurationVar(&o.since, "since", 24*time.Hour, "how far back Cloud Logs searches")
	o.svg.add(c, "the chain of events")
	o.cloud.add(c, serviceLogs)
	return c
}

// auditResult is the output of audit --json.
type auditResult struct {
	*audit.Report
	Broken  bool          `json:"broken"`
	Events  int           `json:"events"` // number of events read
	Skipped audit.Skipped `json:"skipped"`
}

func (o *auditVerbFlags) run(c *cobra.Command, files []string) error {
	ctx, t := c.Context(), &o.Talk
	o.of.RootKeyCRN = cmp.Or(o.of.RootKeyCRN, os.Getenv(envRootKey))
	if o.of.RootKeyCRN == "" && o.of.ImageID == "" && o.of.ServerID == "" {
		return rest.WithHint(errors.New("no root key, image or server is given"), "give --root-key-crn, --image or --server")
	}
	svg, abort, err := o.svg.create()
	if err != nil {
		return err
	}
	defer abort()
	r := auditResult{}
	var all []audit.Event
	if len(files) == 0 {
		if all, r.Skipped, err = o.query(ctx); err != nil {
			return err
		}
	}
	for _, name := range files {
		var skipped audit.Skipped
		events, err := stdio.Parse(ctx, name, func(in io.Reader) (events []audit.Event, err error) {
			events, skipped, err = audit.Read(in, audit.ReadOptions{})
			return events, err
		})
		if err != nil {
			return err
		}
		all = append(all, events...)
		r.Skipped.Join(skipped)
	}
	r.Events = len(all)
	if r.Skipped.Records > 0 {
		t.Warn("skipped %s", term.Count(r.Skipped.Records, "record that is not an event", "records that are not events"))
	}
	if r.Skipped.NoTime > 0 {
		t.Warn("%s no readable time", term.Count(r.Skipped.NoTime, "event has", "events have"))
	}
	r.Report = audit.Chain(all, o.of)
	r.Broken = r.Report.Broken()
	if o.of.RootKeyCRN != "" && (o.of.ImageID != "" || o.of.ServerID != "") {
		t.Say("events of a key service do not name an image: some events of the root key can be of other images")
	}
	if err := drawAudit(svg, r.Report, o.of); err != nil {
		return err
	}
	if err := t.Result(r, columns(r.Table())); err != nil {
		return err
	}
	return r.Err()
}

// query queries Cloud Logs.
func (o *auditVerbFlags) query(ctx context.Context) ([]audit.Event, audit.Skipped, error) {
	var none audit.Skipped
	endpoint := o.cloud.url(serviceLogs)
	if endpoint == "" {
		return nil, none, rest.WithHint(errors.New("no source of events"), "name a file, - for standard input, or Cloud Logs with --logs-url")
	}
	identity, err := o.cloud.iam(ctx)
	if err != nil {
		return nil, none, err
	}
	cl, err := audit.NewClient(audit.ClientOptions{Endpoint: endpoint, Tokens: identity})
	if err != nil {
		return nil, none, o.cloud.named(serviceLogs, err)
	}
	o.ask.End = time.Now()
	o.ask.Start = o.ask.End.Add(-o.since)
	return cl.Query(ctx, o.ask)
}

// columns formats rows in aligned columns.
func columns(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i, cell := range r {
			r[i] = term.Visible(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}
