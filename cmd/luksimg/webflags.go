package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/image/web"
)

// webFlags say how to read a file on a web server.
type webFlags struct {
	allowHTTP bool
}

func (o *webFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.allowHTTP, "allow-http", false, "read http:// addresses of other machines too, without TLS: anyone on the network path can change the data")
}

// open opens the file at a URL.
func (o *webFlags) open(ctx context.Context, name string) (*web.File, error) {
	return web.Open(ctx, name, web.Options{AllowHTTP: o.allowHTTP, Proxy: http.ProxyFromEnvironment})
}

// openWeb opens the file at a URL as an input. The server must support range requests.
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

// warnVersion warns of a file whose changes luksimg could not detect.
func (g *global) warnVersion(f *web.File) {
	if f.Version() == (web.Version{}) {
		g.Warn("%s: the server sends neither ETag nor Last-Modified, so luksimg may miss a change of the file while it reads it", f.Name())
	}
}

// isRemote reports whether a name is a cos:// URI or a URL.
func isRemote(name string) bool { return isCOS(name) || web.Is(name) }

// shown returns a name for messages and records. It removes credentials from a URL.
func shown(name string) string {
	if web.Is(name) {
		return web.Redacted(name)
	}
	return name
}

// isRedacted reports whether a name is a URL without its query, as shown returns it.
func isRedacted(name string) bool { return web.Is(name) && strings.HasSuffix(name, "?...") }

// cutAddress splits URL:/PATH into the URL of an image and the path of a file in it. It splits at the last ":/",
// because a URL can contain others.
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
