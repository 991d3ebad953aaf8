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

// A network leads to a server by two proxies: half of the connections take the one that has the
// toxics, the first two among them, or all of them do.
type network struct {
	sound, toxic string
	all          bool

	mu     sync.Mutex
	random *rand.Rand // not in turns: some servers take one request a connection
	bad    int
}

// address returns where the next connection goes.
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

// transport returns one whose connections go through the network, whatever their address:
// one for each request, or kept.
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
