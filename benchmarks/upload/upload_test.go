package upload

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/need"
)

const (
	accessKey = "0123456789abcdef"
	secretKey = "fedcba9876543210fedcba9876543210"
	mib       = 1 << 20
)

// BenchmarkUpload uploads a file of 64 MiB, or UPLOAD_MIB, with ibm/cos and with minio-go, with the
// same part size and concurrency. A round is one upload by each, in changing order. It reports the
// medians of the rates and of the ratios within a round.
func BenchmarkUpload(b *testing.B) {
	endpoint, dir := need.Gateway(b, accessKey, secretKey)
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o700); err != nil {
		b.Fatal(err)
	}
	size := int64(64)
	if n, err := strconv.ParseInt(os.Getenv("UPLOAD_MIB"), 10, 32); err == nil {
		size = n
	}
	size *= mib
	f, err := os.Create(filepath.Join(b.TempDir(), "source"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf, noise := make([]byte, mib), rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), 1)))
	for range size / mib {
		noise.Read(buf)
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	const partSize, jobs = 16 * mib, 4
	ours, err := cos.New(cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}})
	if err != nil {
		b.Fatal(err)
	}
	theirs, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-south", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		b.Fatal(err)
	}
	put := func(name string, md5 bool) error {
		_, err := theirs.PutObject(context.Background(), "images", name, io.NewSectionReader(f, 0, size), size, minio.PutObjectOptions{PartSize: partSize, NumThreads: jobs, SendContentMd5: md5})
		return err
	}
	contenders := []struct {
		name string
		run  func() error
	}{
		{"ours", func() error {
			_, err := ours.Upload(context.Background(), cos.Object{Region: "us-south", Bucket: "images", Key: "ours"}, f, size, cos.UploadOptions{PartSize: partSize, Jobs: jobs})
			return err
		}},
		{"minio-go", func() error { return put("minio-go", false) }},
		// This uses MD5 sums, which ibm/cos always checks.
		{"minio-go-md5", func() error { return put("minio-go-md5", true) }},
	}
	times := make([][]float64, len(contenders))
	round := func(counts bool) {
		for _, i := range rand.Perm(len(contenders)) {
			start := time.Now()
			if err := contenders[i].run(); err != nil {
				b.Fatal(err)
			}
			if counts {
				times[i] = append(times[i], time.Since(start).Seconds())
			}
		}
	}
	round(false)
	for b.Loop() {
		round(true)
	}
	for i, c := range contenders {
		rates, ratios := make([]float64, len(times[i])), make([]float64, len(times[i]))
		for n, t := range times[i] {
			rates[n], ratios[n] = float64(size)/1e6/t, times[i][n]/times[0][n]
		}
		b.ReportMetric(median(rates), c.name+"-MB/s")
		if i > 0 {
			b.ReportMetric(median(ratios), "ours/"+c.name)
		}
	}
	b.ReportMetric(0, "ns/op") // the time of a round is meaningless
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
