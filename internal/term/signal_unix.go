//go:build unix

package term

import (
	"os"
	"syscall"
)

// statusSignals request one line about the progress of the job.
var statusSignals = append([]os.Signal{syscall.SIGUSR1}, infoSignals...)
