package disk

import "fmt"

// MaxProblems is the maximum number of problems that a check describes.
const MaxProblems = 100

// Describing reports whether a check that found these problems still describes further ones.
func Describing(problems []string) bool { return len(problems) < MaxProblems }

// Note appends a problem unless there are already [MaxProblems].
func Note(problems *[]string, format string, args ...any) {
	if Describing(*problems) {
		*problems = append(*problems, fmt.Sprintf(format, args...))
	}
}
