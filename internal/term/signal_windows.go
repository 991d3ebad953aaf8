package term

import "os"

var statusSignals []os.Signal
