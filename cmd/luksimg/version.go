package main

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/xts"
)

// version and commit are set by the linker in a release. Otherwise readVersion takes them from the build information.
var version, commit string

// versionResult is the output of version --json.
type versionResult struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`

	// FIPS140 is Go's FIPS 140-3 mode: "off", "on" or "only". FIPS140Module is the version of Go's cryptographic
	// module.
	FIPS140       string `json:"fips140"`
	FIPS140Module string `json:"fips140_module"`

	// XTS are the AES-XTS implementations that this CPU supports. luksimg uses the first.
	XTS []string `json:"xts"`
}

// readVersion returns the version from the linker or the build information.
func readVersion() versionResult {
	r := versionResult{Version: version, Commit: commit, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, XTS: xts.Implementations()}
	r.FIPS140, r.FIPS140Module = "off", fips140.Version()
	switch {
	case fips140.Enforced():
		r.FIPS140 = "only"
	case fips140.Enabled():
		r.FIPS140 = "on"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if r.Version == "" {
			r.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && r.Commit == "" {
				r.Commit = s.Value
			}
		}
	}
	return r
}

func newVersion(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of luksimg",
		Args:  flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			r := readVersion()
			text := fmt.Sprintf("luksimg %s, %s, %s/%s", r.Version, r.Go, r.OS, r.Arch)
			if r.Commit != "" {
				text += ", commit " + r.Commit
			}
			text += "\nAES-XTS by " + r.XTS[0]
			if others := r.XTS[1:]; len(others) > 0 {
				text += "; this CPU also has " + strings.Join(others, ", ")
			}
			if r.FIPS140 != "off" {
				text += fmt.Sprintf("\nFIPS 140-3 mode %s, Go Cryptographic Module %s; AES-XTS is outside that module", r.FIPS140, r.FIPS140Module)
			}
			return g.Result(r, text)
		},
	}
}
