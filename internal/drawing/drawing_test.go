package drawing

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostile are texts that would break a drawing if it did not escape or cut them.
var hostile = []string{
	`"><script>alert(1)</script>`, "</text></svg>", "a]]>&b;'\"", strings.Repeat("W", 5000), strings.Repeat("﷽", 60), strings.Repeat("漢字", 300),
	"x\u202eevil\u2066", "a\x00b\x1b[31m\xff\xfe\ufffe", "z" + strings.Repeat("\u0301\u0489", 400), "\u200b\u00a0 ", "family \U0001F468\u200d\U0001F469\u200d\U0001F467", "",
}

// wellFormed parses a drawing and returns its texts.
func wellFormed(t *testing.T, svg []byte) (texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for name := ""; ; {
		token, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name = e.Name.Local
			if !strings.Contains(" svg title style rect text path polyline circle g ", " "+name+" ") {
				t.Errorf("unexpected element %s", name)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || strings.HasSuffix(a.Name.Local, "href") || a.Name.Local == "style" {
					t.Errorf("unexpected attribute %s", a.Name.Local)
				}
			}
		case xml.CharData:
			if name == "text" {
				texts = append(texts, string(e))
			}
		case xml.EndElement:
			name = ""
		}
	}
}

func hostileStrips() []byte {
	var spans []Span
	for i, text := range hostile {
		spans = append(spans, Span{Data, text, int64(i) * 100, 150})
	}
	spans = append(spans, Span{Hole, "before", -5, 10}, Span{Hole, "behind", 1 << 50, 10}, Span{Hole, "too long", 5, math.MaxInt64}, Span{Hole, "less than nothing", 5, -1})
	return Strips(hostile[0], hostile, []Strip{{Title: hostile[3], Size: 1 << 40, Spans: spans, Loose: spans, Density: make([]float64, 10)}, {Title: "empty"}, {Title: "all", Size: math.MaxInt64, Density: []float64{1, 0, 0.5}}})
}

func hostileChain() []byte {
	var events []Event
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, text := range hostile {
		events = append(events, Event{Own, text, []string{text, text}, at.Add(time.Duration(i*i*i) * time.Minute), i%2 == 0})
	}
	events = append(events, Event{Kind: Service, Name: "no time"}, Event{Kind: Service, Name: "long ago", Time: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)}, Event{Service, "far ahead", nil, time.Date(9999, 1, 2, 0, 0, 0, 0, time.UTC), false})
	var missing []Link
	for i, text := range hostile {
		missing = append(missing, Link{text, State(i % 3)}, Link{strings.Repeat(text+" ", 40), Missing})
	}
	return Chain(hostile[3], hostile, []Link{{"create", Done}, {hostile[4], Unknown}, {hostile[3], Missing}, {"d", Done}, {"e", Done}}, events, missing)
}

func hostileTerminal() []byte {
	var all []Command
	for _, text := range hostile {
		all = append(all, Command{text, text, text + "\n" + text + "\n\tand\n"})
	}
	return Terminal(all)
}

func hostileBars() []byte {
	var bars []Bar
	for i, text := range hostile {
		bars = append(bars, Bar{text, Data, i%2 == 0, float64(i) - 2, text})
	}
	return Bars(hostile[3], hostile, bars, []Group{{hostile[4], bars}, {"none", nil}, {"zero", []Bar{{Name: "a"}}}})
}

func TestHostile(t *testing.T) {
	for name, svg := range map[string][]byte{"strips": hostileStrips(), "chain": hostileChain(), "terminal": hostileTerminal(), "bars": hostileBars()} {
		texts := wellFormed(t, svg)
		if len(texts) < len(hostile) {
			t.Errorf("%s: %d texts", name, len(texts))
		}
		for _, text := range texts {
			if len([]rune(text)) > columnsIn(inner) {
				t.Errorf("%s: text of %d characters", name, len([]rune(text)))
			}
			for _, r := range text {
				if r == '\u202e' || r == '\u200b' || r < ' ' || r == '\u0301' {
					t.Errorf("%s: control, format or combining character in %q", name, text)
				}
			}
		}
		// All rectangles are within the drawing.
		for _, m := range regexp.MustCompile(`x="([^"]*)" y="[^"]*" width="([^"]*)"`).FindAllStringSubmatch(string(svg), -1) {
			x, err1 := strconv.ParseFloat(m[1], 64)
			w, err2 := strconv.ParseFloat(m[2], 64)
			if err1 != nil || err2 != nil || x < 0 || w < 0 || x+w > width-margin+2 {
				t.Errorf("%s: rectangle at %s with width %s", name, m[1], m[2])
			}
		}
	}
}

func TestMany(t *testing.T) {
	var spans []Span
	var events []Event
	for i := range 10000 {
		spans = append(spans, Span{Header, "a", int64(i) * 10, 5})
		events = append(events, Event{Kind: Own, Name: "a"})
	}
	for name, svg := range map[string][]byte{
		"strips": Strips("many", nil, []Strip{{Size: 1 << 30, Spans: spans, Loose: spans}}), "chain": Chain("many", nil, nil, events, nil),
	} {
		if len(svg) > 100<<10 || !strings.Contains(string(svg), "and 9") {
			t.Errorf("%s: %d bytes, or no count of the omitted events or spans", name, len(svg))
		}
		wellFormed(t, svg)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
		n       int
	}{
		{"abc", 3, "abc", 3}, {"abcd", 3, "ab…", 3}, {"", 3, "", 0}, {"abc", 0, "", 0}, {"漢字", 4, "漢字", 4}, {"漢字", 3, "漢…", 3}, {"漢字", 2, "…", 1},
		{"a\nb\u0301\xff", 9, "a?b?\ufffd", 6}, {"a…b", 3, "a…b", 3},
	} {
		if got, n := Fit(c.text, c.columns); got != c.want || n != c.n {
			t.Errorf("%q in %d: %q, %d; want %q, %d", c.text, c.columns, got, n, c.want, c.n)
		}
	}
}

func TestAxis(t *testing.T) {
	// The header is a millionth of the file.
	a := newAxis(1<<40, []Span{{Offset: 0, Size: 1 << 20}, {Offset: 1 << 39, Size: 1 << 38}}, 400)
	if got := a.at(1 << 20); got != leastSpan {
		t.Errorf("the header is %v wide", got)
	}
	if half := a.at(1<<39) - a.at(1<<20); math.Abs(half-(400-leastSpan)/2) > 0.01 {
		t.Errorf("the part before the middle is %v wide", half)
	}
	if a.at(1<<40) != 400 || a.at(math.MaxInt64) != 400 || a.at(-1) != 0 {
		t.Errorf("the ends are at %v, %v and %v", a.at(1<<40), a.at(math.MaxInt64), a.at(-1))
	}
	n := 0
	for from, to := range a.breaks {
		n++
		if from != 0 || to != leastSpan {
			t.Errorf("break from %v to %v", from, to)
		}
	}
	if n != 1 {
		t.Errorf("%d breaks", n)
	}
	// The maximum number of spans, all too small and overlapping: they still fit.
	var spans []Span
	for i := range int64(maxSpans) {
		spans = append(spans, Span{Offset: 3 * i, Size: 5})
	}
	a = newAxis(1<<40, spans, inner)
	for i := 1; i < len(a.x); i++ {
		if a.x[i] < a.x[i-1] {
			t.Fatal("the axis is not monotonic")
		}
	}
	if got := a.at(1 << 40); math.Abs(got-inner) > 0.01 {
		t.Errorf("the end is at %v", got)
	}
}

func TestScale(t *testing.T) {
	svg := string(Strips("t", nil, []Strip{{Size: 100, Spans: []Span{{Header, "h", 0, 50}, {Data, "d", 50, 25}}}}))
	for _, want := range []string{`width="187.5" height="26.0"><title>h: 50 bytes at 0`, `x="200.0" y=`, `width="93.5" height="26.0"><title>d: 25 bytes at 50`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "not to scale") {
		t.Error("the drawing says that it is not to scale")
	}
}

func FuzzStrips(f *testing.F) {
	f.Add("name", int64(100), int64(0), int64(10), int64(5), int64(50))
	f.Add(hostile[1], int64(math.MaxInt64), int64(-1), int64(math.MaxInt64), int64(math.MaxInt64), int64(1))
	f.Fuzz(func(t *testing.T, name string, size, off1, n1, off2, n2 int64) {
		svg := Strips(name, []string{name}, []Strip{{Title: name, Size: max(size, 0), Spans: []Span{{Data, name, off1, n1}, {Hole, name, off2, n2}}, Density: []float64{0.3}}})
		wellFormed(t, svg)
		if s := string(svg); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") || strings.Contains(s, `width="-`) {
			t.Errorf("invalid number: %s", s)
		}
	})
}

func ExampleStrips() {
	svg := Strips("disk.luks", nil, []Strip{{Title: "file", Size: 4 << 20, Spans: []Span{{Header, "header", 0, 1 << 20}, {Data, "data", 1 << 20, 3 << 20}}}})
	fmt.Println(strings.Contains(string(svg), "<title>data: 3145728 bytes at 1048576</title>"))
	// Output: true
}
