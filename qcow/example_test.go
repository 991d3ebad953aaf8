package qcow_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
)

func ExampleOpen() {
	file := golden.Read("../testdata/qcow/snap.qcow2.gz") // any io.ReaderAt, such as an *os.File

	disk, err := qcow.Open(context.Background(), bytes.NewReader(file), int64(len(file)), qcow.Options{})
	if err != nil {
		log.Fatal(err)
	}
	info, err := disk.Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("version %d, %d bytes, snapshot %q\n", info.Version, disk.Size(), info.Snapshots[0].Name)
	for e, err := range image.Extents(disk, 0, disk.Size()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Offset, e.Length, e.Kind)
	}
	before, err := qcow.Open(context.Background(), bytes.NewReader(file), int64(len(file)), qcow.Options{Snapshot: "before"})
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range []*qcow.Disk{disk, before} {
		b := make([]byte, 4)
		if _, err := d.ReadAt(b, 8192); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("% x\n", b)
	}
	// Output:
	// version 3, 1048576 bytes, snapshot "before"
	// 0 24576 data
	// 24576 1024000 hole
	// 22 22 22 22
	// 11 11 11 11
}

func ExampleCreate() {
	disk := make([]byte, 10<<20) // mostly zeros; any image.Source can be used
	copy(disk[5<<20:], "plaintext")
	file, err := os.CreateTemp("", "*.qcow2")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()

	made, err := qcow.Create(context.Background(), file, bytes.NewReader(disk), qcow.CreateOptions{
		Passphrase: []byte("correct horse"),
		LUKS:       luks.Options{KDF: luks.KDF{Iterations: 1000}}, // too few outside of an example
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made.VirtualSize, made.FileSize, made.AllocatedClusters, made.LUKS.Cipher)

	opened, err := qcow.Open(context.Background(), file, made.FileSize, qcow.Options{Key: []byte("correct horse")})
	if err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 9)
	if _, err := opened.ReadAt(b, 5<<20); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// 10485760 2490368 1 aes-xts-plain64
	// plaintext
}
