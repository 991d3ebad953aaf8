package copyout

import "testing"

func mkfifo(t *testing.T, _ string)         { t.Skip("there are no pipes with names of files") }
func room(*testing.T, string) (bytes int64) { return 0 }
