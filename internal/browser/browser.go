// Package browser measures and captures pages in headless Chromium, for tests.
package browser

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
)

const program = "chromium"

// limit is the time after which a hanging browser is killed.
const limit = 5 * time.Minute

// The measuring page stores its result in an element with this id.
const (
	open = `<script type="application/json" id="result">`
	shut = `</script>`
)

// Measure shows a page in a window width pixels wide, and decodes the value of the JavaScript
// expression measure into out. The expression can be a promise, and can refer to the page as document
// and to its window as view.
func Measure(t testing.TB, page string, width int, measure string, out any) {
	t.Helper()
	var all []json.RawMessage
	MeasureAll(t, []string{page}, width, measure, &all)
	if err := json.Unmarshal(all[0], out); err != nil {
		t.Fatalf("%s: %v: %.500s", page, err, all[0])
	}
}

// MeasureAll is like [Measure] for several pages, one after the other. out points to a slice.
func MeasureAll(t testing.TB, pages []string, width int, measure string, out any) {
	t.Helper()
	need.Program(t, program)
	var urls []string
	for _, page := range pages {
		urls = append(urls, fileURL(t, page))
	}
	list, err := json.Marshal(urls)
	if err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(t.TempDir(), "measure.html")
	text := `<!doctype html><meta charset="utf-8"><iframe id="frame" width="` + strconv.Itoa(width) + `" height="800" style="border:0"></iframe>
<script>
(async () => {
  const frame = document.getElementById("frame"), all = []
  const measure = async (document, view) => (` + measure + `)
  for (const page of ` + string(list) + `) {
    try {
      await new Promise(done => { frame.onload = done; frame.src = page })
      all.push(await measure(frame.contentDocument, frame.contentWindow))
    } catch (e) { all.push({failed: page + ": " + e}) }
  }
  const s = document.createElement("script")
  s.type = "application/json"; s.id = "result"
  s.textContent = JSON.stringify(all).replaceAll("<", "\\u003c")
  document.body.append(s)
})()
</script>`
	if err := os.WriteFile(outer, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := run(t, "--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom", fileURL(t, outer))
	_, after, ok := strings.Cut(dom, open)
	result, _, ok2 := strings.Cut(after, shut)
	if !ok || !ok2 {
		t.Fatalf("no result in the page: %.2000s", dom)
	}
	var each []struct{ Failed string }
	if err := json.Unmarshal([]byte(result), &each); err == nil {
		for _, e := range each {
			if e.Failed != "" {
				t.Fatal(e.Failed)
			}
		}
	}
	if err := json.Unmarshal([]byte(result), out); err != nil {
		t.Fatalf("%v: %.500s", err, result)
	}
}

// Screenshot writes a PNG of the top height pixels of a page, in a window width pixels wide.
func Screenshot(t testing.TB, page, png string, width, height int) {
	t.Helper()
	need.Program(t, program)
	png, err := filepath.Abs(png)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "--hide-scrollbars", "--window-size="+strconv.Itoa(width)+","+strconv.Itoa(height), "--screenshot="+png, fileURL(t, page))
}

// run runs the browser with a fresh profile, waits for it to end and returns its output.
func run(t testing.TB, args ...string) string {
	t.Helper()
	// Containers often lack support for the sandbox, and the pages are our own.
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-features=Translate,OptimizationHints,MediaRouter",
		"--user-data-dir=" + t.TempDir()}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, errs.String())
	}
	return string(out)
}

func fileURL(t testing.TB, name string) string {
	t.Helper()
	name, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}
