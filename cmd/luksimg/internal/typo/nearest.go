package typo

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// most is the largest number of suggested names.
const most = 3

// nearest returns the names that typed most likely means, best first. Names that differ only in hyphens and case come
// first, then a synonym. The names with the fewest mistakes follow, then those that begin or end with typed, and then
// the synonym with the fewest mistakes. It returns nil if no name is near.
func nearest(typed string, names []string, synonyms map[string]string) []string {
	plain := simple(typed)
	if plain == "" {
		return nil
	}
	var same, begun []string
	byMistakes := make(map[int][]string)
	fewest := allowed(plain) + 1
	for _, name := range names {
		s := simple(name)
		d := distance(plain, s)
		switch {
		case d == 0:
			same = append(same, name)
		case d <= allowed(plain):
			byMistakes[d] = append(byMistakes[d], name)
			fewest = min(fewest, d)
		case len(plain) >= 3 && (strings.HasPrefix(s, plain) || strings.HasSuffix(name, "-"+typed)):
			begun = append(begun, name)
		}
	}
	if s := synonyms[plain]; len(same) == 0 && slices.Contains(names, s) {
		same = []string{s}
	}
	slices.SortStableFunc(begun, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	for _, found := range [][]string{same, byMistakes[fewest], begun} {
		if len(found) > 0 {
			return found[:min(len(found), most)]
		}
	}
	fewest = allowed(plain) + 1
	var meant []string
	for _, synonym := range slices.Sorted(maps.Keys(synonyms)) {
		if d := distance(plain, synonym); d < fewest && slices.Contains(names, synonyms[synonym]) {
			meant, fewest = []string{synonyms[synonym]}, d
		}
	}
	return meant
}

// simple returns a name in lower case without hyphens and underscores.
func simple(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// allowed returns the number of mistakes at which a name is still recognized.
func allowed(name string) int {
	switch n := len(name); {
	case n < 2:
		return 0
	case n < 5:
		return 1
	case n < 10:
		return 2
	}
	return 3
}

// longest is the longest name that is compared. No command is longer, and the cost grows with the square of the
// length.
const longest = 64

// distance returns the number of mistakes between two names: missing, added, wrong or transposed letters (the optimal
// string alignment distance).
func distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return max(len(a), len(b))
	}
	var rows [3][longest + 1]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, twoAbove := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := above[j-1]
			if a[i-1] != b[j-1] {
				wrong++
			}
			row[j] = min(above[j]+1, row[j-1]+1, wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], twoAbove[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
