package contents_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/luksimg/luksimg/contents"
)

func ExampleInspect() {
	disk := bytes.NewReader(readGolden("testdata/gpt.img.gz")) // any image.Source will do

	info, err := contents.Inspect(context.Background(), disk)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.PartitionTable)
	for _, p := range info.Partitions {
		if p.Filesystem != nil {
			fmt.Printf("%d: %s, %d bytes, %s %q\n", p.Number, p.Type, p.Size, p.Filesystem.Type, p.Filesystem.Label)
		}
	}
	fmt.Println("encrypted already:", info.Encrypted)
	fmt.Println("system:", info.OS.ID, info.OS.Version)
	fmt.Printf("cloud-init: %s (%s)\n", info.CloudInit, info.CloudInitReason)
	// Output:
	// gpt
	// 1: efi, 1048576 bytes, fat12 "EFI"
	// 3: linux, 2097152 bytes, ext2 "root"
	// 4: linux-swap, 1048576 bytes, swap "SWAP-xvdb1"
	// encrypted already: false
	// system: rhel 9.4
	// cloud-init: found (/usr/bin/cloud-init)
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
