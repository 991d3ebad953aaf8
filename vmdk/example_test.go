package vmdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/vmdk"
)

func ExampleOpen() {
	// A descriptor names the files with the data. A sparse file needs no other files.
	const descriptor = `# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"
RW 8 FLAT "disk-flat.vmdk" 0
`
	// The caller opens the named files: here, only those in the same folder.
	resolve := func(ref image.Ref) (image.Source, error) {
		if filepath.Base(ref.Name()) != ref.Name() {
			return nil, fmt.Errorf("%q is not in the folder of the image", ref.Name())
		}
		return strings.NewReader(strings.Repeat("data", 1024)), nil // image.NewFile for an *os.File
	}
	r := strings.NewReader(descriptor) // any io.ReaderAt, such as an *os.File

	disk, err := vmdk.Open(context.Background(), r, r.Size(), vmdk.Options{Resolve: resolve})
	if err != nil {
		log.Fatal(err)
	}
	info, err := disk.Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d bytes\n", info.CreateType, disk.Size())
	b := make([]byte, 8)
	if _, err := disk.ReadAt(b, 4000); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", b)

	// Without a resolver, no file is opened.
	_, err = vmdk.Open(context.Background(), r, r.Size(), vmdk.Options{})
	var refused *image.RefusedError
	fmt.Println(errors.As(err, &refused), err)
	// Output:
	// monolithicFlat, 4096 bytes
	// "datadata"
	// true vmdk: the image needs its extent "disk-flat.vmdk", and no other files are opened
}
