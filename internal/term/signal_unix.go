//go:build unix

package term

import (
	"os"
	"syscall"
)

// statusSignals ask for one line about how far the job is.
var statusSignals = append([]os.Signal{syscall.SIGUSR1}, infoSignals...)
