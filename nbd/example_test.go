package nbd_test

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/nbd"
)

// This example serves a raw disk, writable, to programs of this user until it is interrupted.
func ExampleServer_Serve() {
	f, err := os.OpenFile("disk.raw", os.O_RDWR, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	disk, err := image.NewFile(f)
	if err != nil {
		log.Fatal(err)
	}
	s, err := nbd.NewServer(nbd.Options{}, nbd.Export{Source: disk, Target: f})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("unix", "disk.sock") // nbd+unix:///?socket=disk.sock
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.Serve(ctx, l); err != nil {
		log.Fatal(err)
	}
}
