package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in a release; otherwise the build says what it is.
var version string

// versionResult is what version --json prints.
type versionResult struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func newVersion(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell the version of luksimg",
		Args:  args(),
		RunE: func(c *cobra.Command, _ []string) error {
			r := versionResult{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				if r.Version == "" {
					r.Version = info.Main.Version
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						r.Commit = s.Value
					}
				}
			}
			text := fmt.Sprintf("luksimg %s, %s, %s/%s", r.Version, r.Go, r.OS, r.Arch)
			if r.Commit != "" {
				text += ", commit " + r.Commit
			}
			return g.talk(c).result(r, text)
		},
	}
}
