package main

import "net"

// listenPrivate listens on a Unix socket. The permissions of its folder decide who can connect.
func listenPrivate(name string) (net.Listener, error) { return net.Listen("unix", name) }
