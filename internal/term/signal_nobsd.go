//go:build unix && !(darwin || dragonfly || freebsd || netbsd || openbsd)

package term

import "os"

var infoSignals []os.Signal
