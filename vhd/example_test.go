package vhd_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/vhd"
)

func ExampleOpen() {
	file := readGolden("testdata/dynamic-5m.vhd.gz") // any io.ReaderAt will do, an *os.File too

	disk, err := vhd.Open(bytes.NewReader(file), int64(len(file)), vhd.Options{})
	if err != nil {
		log.Fatal(err)
	}
	info := disk.Info()
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

func readGolden(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		log.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		log.Fatal(err)
	}
	return b
}
