package servers

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
)

// A toxic is a toxiproxy toxic with its attributes.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]any `json:"attributes"`
}

// stuck is a toxic that passes a number of bytes and swallows the rest. The connection stays half open.
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
	log.Logger = zerolog.Nop() // the toxics log to it
}

// A network leads to a server through two proxies, one with the toxics. Either half of the connections use the proxy with the
// toxics, including the first two, or all of them do.
type network struct {
	sound, toxic string
	all          bool

	mu     sync.Mutex
	random *rand.Rand // random, since some servers accept one request per connection
	bad    int
}

// address returns the address for the next connection.
func (n *network) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.all && n.bad > 1 && n.random.IntN(2) == 0 {
		return n.sound
	}
	n.bad++
	return n.toxic
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
	return &network{sound: sound.Listen, toxic: bad.Listen, all: all, random: rand.New(rand.NewPCG(1, 2))}
}

// transport returns a transport whose connections go through the network, whatever their address.
// It uses one connection per request, or keeps connections.
func (n *network) transport(t *testing.T, keep bool) *http.Transport {
	tr := &http.Transport{
		DisableKeepAlives:     !keep,
		ExpectContinueTimeout: time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, n.address())
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}
