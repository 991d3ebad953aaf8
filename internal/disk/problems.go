package disk

import "fmt"

// MaxProblems is how many problems a check describes.
const MaxProblems = 100

// Describing tells whether a check that has these problems describes another one.
func Describing(problems []string) bool { return len(problems) < MaxProblems }

// Note adds a problem that a check of an image found, if it is one of the first 100.
func Note(problems *[]string, format string, args ...any) {
	if Describing(*problems) {
		*problems = append(*problems, fmt.Sprintf(format, args...))
	}
}
