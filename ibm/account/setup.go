package account

import (
	"context"
	"strings"
)

// Setup calls [Look] and, unless dryRun is set, [Report.Make]. It calls tell with one line of text
// for each note and for each resource it creates. The report lists all resources.
func Setup(ctx context.Context, o Options, dryRun bool, tell func(text string)) (*Report, error) {
	r, err := Look(ctx, o)
	if err != nil {
		return nil, err
	}
	r.DryRun = dryRun
	for _, n := range r.Notes {
		tell(n)
	}
	if dryRun {
		return r, nil
	}
	return r, r.Make(ctx, func(x *Thing) { tell(x.String() + ": created") })
}

// String returns the kind and name of the resource.
func (x *Thing) String() string { return x.What + " " + x.Name }

// Lines describe what exists, what was created, and how to create what is missing.
func (r *Report) Lines() []string {
	var lines []string
	for _, x := range r.Things {
		switch {
		case x.Exists:
			lines = append(lines, "exists   "+x.String())
		case x.Made:
			lines = append(lines, "created  "+x.String())
		default:
			lines = append(lines, "missing  "+x.String())
			for text := range strings.SplitSeq(x.Request+"\n"+x.Command, "\n") {
				lines = append(lines, "         "+text)
			}
		}
	}
	if r.RootKeyCRN != "" {
		lines = append(lines, "root key "+r.RootKeyCRN)
	}
	return lines
}
