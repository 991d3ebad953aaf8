package vhdx_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/vhdx"
)

func ExampleOpen() {
	file := golden.Read("../testdata/vhdx/log.vhdx.gz") // any io.ReaderAt, such as an *os.File

	disk, err := vhdx.Open(context.Background(), bytes.NewReader(file), int64(len(file)), vhdx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	info, err := disk.Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d bytes, log replayed: %v\n", info.Type, disk.Size(), info.LogReplayed)
	for e, err := range image.Extents(disk, 0, disk.Size()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Offset, e.Length, e.Kind)
	}
	b := make([]byte, 4)
	if _, err := disk.ReadAt(b, 2<<20); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% x\n", b)
	// Output:
	// dynamic, 5242880 bytes, log replayed: true
	// 0 1048576 hole
	// 1048576 2097152 data
	// 3145728 1048576 hole
	// 4194304 1048576 data
	// 05 05 05 05
}

// A differencing disk names its parent, which the caller opens. This example opens it only in the
// folder of the disk.
func ExampleOptions_resolve() {
	resolve := func(ref image.Ref) (image.Source, error) {
		name := path.Base(strings.ReplaceAll(ref.Name(), `\`, "/"))
		f, err := os.Open("disks/" + name)
		if err != nil {
			return nil, err
		}
		raw, err := image.NewFile(f)
		if err != nil {
			return nil, err
		}
		opts := ref.Options.(vhdx.Options) // includes Resolve and the identity of the parent
		opts.ID = name
		return vhdx.Open(context.Background(), raw, raw.Size(), opts)
	}
	raw := bytes.NewReader(golden.Read("../testdata/vhdx/dynamic.vhdx.gz"))
	disk, err := vhdx.Open(context.Background(), raw, raw.Size(), vhdx.Options{Resolve: resolve, ID: "dynamic.vhdx"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(disk.Size(), "bytes, and no parent was needed")
	// Output: 5242880 bytes, and no parent was needed
}
