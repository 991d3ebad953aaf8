package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// A toxic is one of toxiproxy, with its attributes.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]any `json:"attributes"`
}

// stuck lets so many bytes pass, and swallows the rest: the connection stays, half open.
type stuck struct {
	Bytes int64 `json:"bytes"`
}

type passed struct{ bytes int64 }

func (s *stuck) NewState() any { return new(passed) }

func (s *stuck) Pipe(stub *toxics.ToxicStub) {
	state := stub.State.(*passed)
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if state.bytes += int64(len(c.Data)); state.bytes <= s.Bytes {
				stub.Output <- &stream.StreamChunk{Data: c.Data, Timestamp: c.Timestamp}
			}
		}
	}
}

func init() {
	toxics.Register("stuck", new(stuck))
	log.Logger = zerolog.Nop() // which the toxics use
}

// A network leads to a server by two proxies: every other connection takes the one that has the
// toxics, or all of them do.
type network struct {
	sound, toxic string
	all          bool
	connections  atomic.Int64
}

func newNetwork(t *testing.T, server string, all bool, with ...toxic) *network {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	start := func(name string) *toxiproxy.Proxy {
		p := toxiproxy.NewProxy(api, name, "127.0.0.1:0", u.Host)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		return p
	}
	sound, bad := start("sound"), start("toxic")
	for _, x := range with {
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bad.Toxics.AddToxicJson(strings.NewReader(string(b))); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return &network{sound: sound.Listen, toxic: bad.Listen, all: all}
}

// transport returns one whose connections go through the network, whatever their address.
func (n *network) transport(t *testing.T) *http.Transport {
	tr := &http.Transport{
		ExpectContinueTimeout: time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			to := n.toxic
			if n.connections.Add(1)%2 == 0 && !n.all {
				to = n.sound
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func (n *network) String() string { return fmt.Sprintf("%d connections", n.connections.Load()) }
