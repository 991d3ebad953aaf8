package copyout

import "testing"

func mkfifo(t *testing.T, _ string)         { t.Skip("Windows has no FIFOs in folders") }
func room(*testing.T, string) (bytes int64) { return 0 }
