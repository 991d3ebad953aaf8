package stdio

import "os"

// stdoutClosed reports whether the process began without a standard output.
func stdoutClosed() bool {
	_, err := os.Stdout.Stat()
	return err != nil
}
