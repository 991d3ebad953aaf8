package account

import (
	"context"
	"strings"
)

// Setup looks for what there is, and makes what is missing, unless dryRun is set. It tells what it
// has made, one line of text at a time; the report has the rest.
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
	return r, r.Make(ctx, func(x *Thing) { tell(x.String() + ": made") })
}

// String says what it is, in one line.
func (x *Thing) String() string { return x.What + " " + x.Name }

// Lines tell what there is, what was made, and how to make what is missing.
func (r *Report) Lines() []string {
	var lines []string
	for _, x := range r.Things {
		switch {
		case x.Exists:
			lines = append(lines, "there    "+x.String())
		case x.Made:
			lines = append(lines, "made     "+x.String())
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
