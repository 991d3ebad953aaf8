//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package term

import (
	"os"
	"syscall"
)

// infoSignals are the signals that Ctrl-T sends.
var infoSignals = []os.Signal{syscall.SIGINFO}
