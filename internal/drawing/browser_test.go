package drawing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/browser"
)

// TestBrowser checks the layout in a browser: no text leaves the drawing or overlaps another, and
// nothing needs scrolling on a phone.
func TestBrowser(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	text := "<!doctype html><meta charset=utf-8><body style='margin:0'>" + string(hostileStrips()) + string(hostileChain()) + string(hostileTerminal()) + string(hostileBars()) +
		"<style>svg{max-width:100%;height:auto;display:block}</style>"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	type box struct{ X, Y, W, H float64 }
	var got struct {
		Scroll float64
		Shown  float64 // pixels of a text
		Texts  [][]struct {
			Text string
			Box  box
		}
	}
	browser.Measure(t, page, 360, `({
  scroll: document.documentElement.scrollWidth,
  shown: document.querySelector("text.head").getBoundingClientRect().height,
  texts: [...document.querySelectorAll("svg")].map(s => [...s.querySelectorAll("text")].map(e => {
    const b = e.getBBox()
    return {text: e.textContent, box: {x: b.x, y: b.y, w: b.width, h: b.height}}
  }))
})`, &got)
	if got.Scroll > 360 || got.Shown < 9 {
		t.Errorf("in a window of 360 pixels the page is %v wide and the text %v high", got.Scroll, got.Shown)
	}
	if len(got.Texts) != 4 || len(got.Texts[0]) < 20 || len(got.Texts[1]) < 20 {
		t.Fatalf("texts missing: %v", got)
	}
	for _, texts := range got.Texts {
		for i, a := range texts {
			if a.Box.X < margin-1 || a.Box.X+a.Box.W > width-margin+1 {
				t.Errorf("%.60q goes from %.1f to %.1f", a.Text, a.Box.X, a.Box.X+a.Box.W)
			}
			for _, b := range texts[:i] {
				x := min(a.Box.X+a.Box.W, b.Box.X+b.Box.W) - max(a.Box.X, b.Box.X)
				y := min(a.Box.Y+a.Box.H, b.Box.Y+b.Box.H) - max(a.Box.Y, b.Box.Y)
				if x > 0.5 && y > 5 && strings.TrimSpace(a.Text) != "" {
					t.Errorf("%.40q and %.40q overlap", a.Text, b.Text)
				}
			}
		}
	}
}
