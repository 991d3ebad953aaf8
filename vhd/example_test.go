package vhd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/vhd"
)

func ExampleOpen() {
	file := golden.Read("../testdata/vhd/dynamic-5m.vhd.gz") // any io.ReaderAt, such as an *os.File

	disk, err := vhd.Open(context.Background(), bytes.NewReader(file), int64(len(file)), vhd.Options{})
	if err != nil {
		log.Fatal(err)
	}
	info, err := disk.Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s disk of %d bytes, %d blocks in the file\n", info.Type, disk.Size(), info.AllocatedBlocks)
	for e, err := range image.Extents(disk, 0, disk.Size()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Offset, e.Length, e.Kind)
	}
	b := make([]byte, 4)
	if _, err := disk.ReadAt(b, 1<<20); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% x\n", b)
	// Output:
	// dynamic disk of 5242880 bytes, 2 blocks in the file
	// 0 2097152 data
	// 2097152 2097152 hole
	// 4194304 1048576 data
	// 5a 5a 5a 5a
}

// This example encrypts a disk as vhd-util does, and reads it back with the key.
func ExampleCreate() {
	src := bytes.NewReader(bytes.Repeat([]byte("guest "), 1<<20)) // any image.Source can be used
	key := make([]byte, 64)
	rand.Read(key) // never fails
	defer clear(key)

	name := filepath.Join(os.TempDir(), "example-create.vhd")
	f, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(name)
	defer f.Close()
	made, err := vhd.Create(context.Background(), f, src, vhd.CreateOptions{Key: key})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made.VirtualSize, "bytes in", made.Blocks, "blocks")

	disk, err := vhd.Open(context.Background(), f, made.FileSize, vhd.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	b := make([]byte, 5)
	_, err = disk.ReadAt(b, 600)
	fmt.Println(errors.Is(err, image.ErrLocked))
	if err := disk.Unlock(context.Background(), key); err != nil {
		log.Fatal(err)
	}
	if _, err := disk.ReadAt(b, 600); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// 6291456 bytes in 3 blocks
	// true
	// guest
}

func ExampleCheckFile() {
	file := golden.Read("../testdata/vhd/dynamic-5m.vhd.gz")
	file[100]++ // damages the footer copy

	found, err := vhd.CheckFile(context.Background(), bytes.NewReader(file), int64(len(file)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Corruptions, "wrong,", found.Leaks, "bytes leaked,", found.AllocatedBlocks, "blocks")
	for _, p := range found.Problems {
		fmt.Println(p)
	}
	// Output:
	// 1 wrong, 0 bytes leaked, 2 blocks
	// ERROR the footer copy at the start of the file is damaged; the footer at its end was used
}
