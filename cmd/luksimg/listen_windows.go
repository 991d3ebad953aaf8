package main

import "net"

// listenPrivate listens on a Unix socket. Who may connect its folder says.
func listenPrivate(name string) (net.Listener, error) { return net.Listen("unix", name) }
