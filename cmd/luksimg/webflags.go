package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/image/web"
)

// webFlags say how to read what is named by an https:// address.
type webFlags struct {
	allowHTTP bool
}

func (o *webFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.allowHTTP, "allow-http", false, "read http:// addresses of other machines too, without TLS: anyone on the way can change the data")
}

// open opens the file at an address.
func (o *webFlags) open(ctx context.Context, name string) (*web.File, error) {
	return web.Open(ctx, name, web.Options{AllowHTTP: o.allowHTTP, Proxy: http.ProxyFromEnvironment})
}

// openWeb opens the file at an address as an input, which needs ranges.
func openWeb(ctx context.Context, g *global, name string) (*input, error) {
	f, err := g.web.open(ctx, name)
	if err != nil {
		return nil, err
	}
	if !f.Ranges() {
		f.Close()
		return nil, fmt.Errorf("%s: %w, and this needs seeking", f.Name(), web.ErrNoRanges)
	}
	g.warnVersion(f)
	in := &input{r: f, close: func() { f.Close() }, size: f.Size(), name: f.Name(), base: f.Base(), etag: f.Version().ETag}
	in.mtime, _ = http.ParseTime(f.Version().LastModified)
	return in, nil
}

// warnVersion warns of a file that could change without being noticed.
func (g *global) warnVersion(f *web.File) {
	if f.Version() == (web.Version{}) {
		g.Warn("%s: the server does not tell which version of the file it sends (no ETag, no Last-Modified): that it changes while it is read may not be noticed", f.Name())
	}
}

// isRemote tells whether the name of a file is that of an object, or an address.
func isRemote(name string) bool { return isCOS(name) || web.Is(name) }

// shown is the name of a file for messages and records: of an address without what may be secret.
func shown(name string) string {
	if web.Is(name) {
		return web.Redacted(name)
	}
	return name
}

// isRedacted tells whether a name is an address without its query, as shown returns it.
func isRedacted(name string) bool { return web.Is(name) && strings.HasSuffix(name, "?...") }

// cutAddress cuts an address from the path of a file in the image there. The last colon in front of a slash
// is the one, as addresses have some of their own.
func cutAddress(arg string) (address, path string) {
	for end := len(arg); ; {
		i := strings.LastIndex(arg[:end], ":/")
		if i < 0 || i == strings.Index(arg, "://") {
			return arg, ""
		}
		if !strings.HasPrefix(arg[i:], "://") {
			return arg[:i], arg[i+1:]
		}
		end = i
	}
}
