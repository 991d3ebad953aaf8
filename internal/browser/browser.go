// Package browser looks at pages in headless Chromium, for tests.
package browser

import (
	"encoding/json"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

const program = "chromium"

// The page that measures has its result in an element with this id.
const (
	open  = `<script type="application/json" id="result">`
	close = `</script>`
)

// Measure shows a page in a window of a width in pixels, and decodes into out what the JavaScript expression
// measure gives there: document is that page. Only files that are beside it or below are loaded.
func Measure(t testing.TB, page string, width int, measure string, out any) {
	t.Helper()
	need.Program(t, program)
	outer := filepath.Join(t.TempDir(), "measure.html")
	text := `<!doctype html><meta charset="utf-8"><iframe id="f" width="` + strconv.Itoa(width) + `" height="2000" style="border:0" src="` + html.EscapeString(fileURL(t, page)) + `"></iframe>
<script>
document.getElementById("f").onload = () => {
  let result
  try {
    const document = window.document.getElementById("f").contentDocument
    result = (` + measure + `)
  } catch (e) { result = {error: String(e)} }
  const s = window.document.createElement("script")
  s.type = "application/json"; s.id = "result"
  s.textContent = JSON.stringify(result).replaceAll("<", "\\u003c")
  window.document.body.append(s)
}
</script>`
	if err := os.WriteFile(outer, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dom := run(t, "--allow-file-access-from-files", "--virtual-time-budget=10000", "--dump-dom", fileURL(t, outer))
	_, after, ok := strings.Cut(dom, open)
	result, _, ok2 := strings.Cut(after, close)
	if !ok || !ok2 {
		t.Fatalf("%s: the page was not measured: %.2000s", page, dom)
	}
	failed := struct{ Error string }{}
	if json.Unmarshal([]byte(result), &failed) == nil && failed.Error != "" {
		t.Fatalf("%s: %s", page, failed.Error)
	}
	if err := json.Unmarshal([]byte(result), out); err != nil {
		t.Fatalf("%s: %v: %.500s", page, err, result)
	}
}

// Screenshot writes a PNG of the first height pixels of a page in a window of a width.
func Screenshot(t testing.TB, page, png string, width, height int) {
	t.Helper()
	need.Program(t, program)
	png, err := filepath.Abs(png)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "--hide-scrollbars", "--window-size="+strconv.Itoa(width)+","+strconv.Itoa(height), "--screenshot="+png, fileURL(t, page))
}

// run runs the browser to its end, with a profile of its own.
func run(t testing.TB, args ...string) string {
	t.Helper()
	// In a container it may have no sandbox, and the pages are our own.
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--user-data-dir=" + t.TempDir()}, args...)
	cmd := exec.Command(program, args...)
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
