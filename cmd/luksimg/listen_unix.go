//go:build unix

package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// listenPrivate listens on a Unix socket, which has mode 0600 from the start.
func listenPrivate(name string) (net.Listener, error) {
	defer unix.Umask(unix.Umask(0o177))
	return net.Listen("unix", name)
}
