package interop_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// watch returns a function that returns how often any program has opened the file since the previous
// call.
func watch(t *testing.T, name string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	_, err = unix.InotifyAddWatch(fd, name, unix.IN_OPEN)
	require.NoError(t, err)
	return func() int {
		n := 0
		buf := make([]byte, 4096)
		for {
			got, err := unix.Read(fd, buf)
			if err != nil || got <= 0 {
				return n
			}
			for b := buf[:got]; len(b) >= unix.SizeofInotifyEvent; n++ {
				b = b[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])):]
			}
		}
	}
}
