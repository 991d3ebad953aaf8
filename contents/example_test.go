package contents_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/golden"
)

func ExampleInspect() {
	disk := bytes.NewReader(golden.Read("../testdata/contents/gpt.img.gz")) // any image.Source

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
