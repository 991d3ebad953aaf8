package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/internal/rest"
)

// actionExport is the action of an export in the log of our own actions.
const actionExport = "luksimg.image.export"

type exportFlags struct {
	*global
	handover handoverFlags
	wait     waitFlags
	audit    auditFlags
}

func newExport(g *global) *cobra.Command {
	o := &exportFlags{global: g}
	c := &cobra.Command{
		Use:   "export TEMPLATE OBJECT",
		Short: "Copy an image template to Object Storage",
		Long: `Export has classic infrastructure (SoftLayer) copy the private template TEMPLATE, given by its
number, global identifier or name, to cos://REGION/BUCKET/OBJECT, and waits until that is done. Each
disk of it becomes an object of its own: of image.vhd, image-0.vhd, image-1.vhd and so on.

The cloud writes with an API key that it is given; see --ibm-api-key-file.` + cloudHelp + `
SL_USERNAME and SL_API_KEY are those of classic infrastructure.`,
		Example: `  luksimg export my-template cos://us-south/images/my-template.vhd`,
		Args:    flags.Args("TEMPLATE", "OBJECT"),
		RunE:    func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	o.handover.add(c)
	o.wait.add(c, true)
	o.cloud.add(c, serviceSoftLayer)
	o.audit.add(c)
	return c
}

// exportResult is what export --json prints.
type exportResult struct {
	TemplateID int    `json:"template_id"`
	Template   string `json:"template"`
	Object     string `json:"object"`
	First      string `json:"first_disk"` // the object of the first disk
	Ready      bool   `json:"ready"`
}

func (o *exportFlags) run(c *cobra.Command, template, uri string) error {
	ctx, t := c.Context(), &o.Talk
	object, err := cos.ParseURI(uri)
	if err != nil {
		return rest.WithHint(err, "the object is cos://REGION/BUCKET/OBJECT")
	}
	if err := o.wait.check(); err != nil {
		return err
	}
	cl, err := o.cloud.classicClient(ctx)
	if err != nil {
		return err
	}
	key, err := o.handover.read(ctx)
	if err != nil {
		return err
	}
	defer clear(key)
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.close()
	log.AddSecret(key)
	tpl, err := findTemplate(ctx, cl, template)
	if err != nil {
		return err
	}
	if strings.ContainsAny(tpl.Name, "/?#%&+ ") {
		t.Warn("the name of the template, %q, has characters that mean something in addresses: the export may fail", tpl.Name)
	}
	err = cl.Export(ctx, softlayer.ExportRequest{TemplateID: tpl.ID, URI: object.String(), APIKey: string(key)})
	if err := log.Did(actionExport, tpl.GlobalIdentifier, map[string]any{"uri": object.String()}, err); err != nil {
		return err
	}
	t.Say("export: of template %d to %s was accepted", tpl.ID, object)
	if !o.wait.noWait {
		if err := o.waitFor(ctx, t, cl, tpl.ID); err != nil {
			return err
		}
	}
	first := firstDisk(object)
	return t.Result(exportResult{TemplateID: tpl.ID, Template: tpl.Name, Object: object.String(), First: first.String(), Ready: !o.wait.noWait},
		talk.Line("%s: of template %d, %s", first, tpl.ID, tpl.Name))
}

func (o *exportFlags) waitFor(ctx context.Context, t *talk.Talk, cl *softlayer.Client, id int) error {
	_, err := cl.WaitImport(ctx, id, o.wait.options(t, "export"))
	return err
}

// firstDisk returns the object of the first disk of an export.
func firstDisk(o cos.Object) cos.Object {
	if i := strings.LastIndexByte(o.Key, '.'); i > strings.LastIndexByte(o.Key, '/') {
		o.Key = o.Key[:i] + "-0" + o.Key[i:]
	} else {
		o.Key += "-0"
	}
	return o
}
