//go:build unix

package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// listenPrivate listens on a Unix socket with the mode 0600, which it has from the start.
func listenPrivate(name string) (net.Listener, error) {
	defer unix.Umask(unix.Umask(0o177))
	return net.Listen("unix", name)
}
