// Package prose holds the rules of docs/style.md that a program can check. Its tests check the README,
// the guides and the help of each verb.
package prose

import (
	"regexp"
	"strings"
)

// LongWords is the number of words from which a sentence counts as long.
const LongWords = 26

var (
	link   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	code   = regexp.MustCompile("`[^`]*`")
	finish = regexp.MustCompile(`[.!?:](\s|$)`)
)

// Sentences returns the sentences in Markdown text, without code blocks, tables and headings. A list
// item and the text after a colon are separate sentences. Inline code counts as one word.
func Sentences(markdown string) []string {
	var all []string
	var paragraph strings.Builder
	end := func() {
		for _, s := range finish.Split(paragraph.String(), -1) {
			if s = strings.TrimSpace(s); s != "" {
				all = append(all, s)
			}
		}
		paragraph.Reset()
	}
	fenced := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			end()
			continue
		}
		if fenced || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "|") ||
			strings.HasPrefix(line, "#") || strings.HasPrefix(line, "<!--") || strings.TrimSpace(line) == "" {
			end()
			continue
		}
		if item, ok := strings.CutPrefix(line, "- "); ok {
			end()
			line = item
		}
		line = code.ReplaceAllString(link.ReplaceAllString(line, "$1"), "CODE")
		paragraph.WriteString(line + " ")
	}
	end()
	return all
}

// Words counts the words of a sentence.
func Words(sentence string) int { return len(strings.Fields(sentence)) }

// Avoid maps patterns that docs/style.md rules out to their replacements.
var Avoid = map[*regexp.Regexp]string{
	regexp.MustCompile(`(?i)\bthe story of\b`):             "audit trail",
	regexp.MustCompile(`(?i)\bis looked (for|at)\b`):       "say who looks",
	regexp.MustCompile(`(?i)\bare looked (for|at)\b`):      "say who looks",
	regexp.MustCompile(`(?i)\bwhat is \w+ is\b`):           "name the subject",
	regexp.MustCompile(`(?i)\bin vain\b`):                  "say what happens instead",
	regexp.MustCompile(`(?i)\bby halves\b`):                "half ..., half ...",
	regexp.MustCompile(`(?i)\bcan pass (it|them)\b`):       "an upper bound",
	regexp.MustCompile(`(?i)\bmakes? .{1,40} anew\b`):      "re-creates",
	regexp.MustCompile(`(?i)\bhas other programs judge\b`): "cross-checks against other programs",
	regexp.MustCompile(`(?i)\bdoes not stop while\b`):      "cannot be cancelled while",
}
