// Put encrypts a disk image and sends it to a web server with one PUT request, without a copy on disk. The request
// has a Content-Length, because the length of a LUKS image is known in advance.
//
//	put disk.qcow2 https://example.com/images/disk.luks passphrase-file
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/luksimg/luksimg"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: put IMAGE URL PASSPHRASE-FILE")
	}
	key, err := os.ReadFile(os.Args[3])
	if err == nil {
		err = put(context.Background(), http.DefaultClient, os.Args[1], os.Args[2], key)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func put(ctx context.Context, c *http.Client, src, url string, key []byte) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	disk, err := luksimg.OpenImage(ctx, f, fi.Size(), luksimg.ImageOptions{})
	if err != nil {
		return err
	}
	defer disk.Close()
	var o luksimg.EncryptOptions
	sizes, err := luksimg.Measure(ctx, disk, o)
	if err != nil {
		return err
	}

	// A pipe connects Encrypt to the request. If either end fails, so does the other.
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := luksimg.EncryptInOrder(ctx, w, disk, key, o)
		w.CloseWithError(err)
	}()
	defer func() { r.Close(); <-done }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, r)
	if err != nil {
		return err
	}
	req.ContentLength = sizes.File
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("put %s: %s", url, resp.Status)
	}
	return nil
}
