package cloud

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/luksimg/luksimg/ibm/cos"
)

// BenchmarkUpload sends one file to versitygw (scripts/versitygw.sh builds it) with ibm/cos and
// with minio-go, parts and jobs the same: 64 MiB, or as many as S3_BENCH_MIB says.
//
//	S3_BENCH_MIB=1024 go test -bench Upload -benchmem -count 6 -benchtime 1x
func BenchmarkUpload(b *testing.B) {
	endpoint := versitygw(b)
	size := int64(64)
	if n, err := strconv.ParseInt(os.Getenv("S3_BENCH_MIB"), 10, 32); err == nil {
		size = n
	}
	size *= mib
	f, err := os.Create(filepath.Join(b.TempDir(), "source"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for i := range size / mib {
		if _, err := f.Write(noise(mib, uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
	const partSize, jobs = 16 * mib, 4
	c, err := cos.New(cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}})
	if err != nil {
		b.Fatal(err)
	}
	m := minioFor(b, endpoint, secretKey, false)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := c.Upload(ctx, cos.Object{Region: "us-south", Bucket: "images", Key: "ours"}, f, size, cos.UploadOptions{PartSize: partSize, Jobs: jobs}); err != nil {
				b.Fatal(err)
			}
		}
	})
	// minio-go as it is, and with MD5 sums, which is what ours checks.
	for name, md5 := range map[string]bool{"minio-go": false, "minio-go-md5": true} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if _, err := m.PutObject(ctx, "images", name, io.NewSectionReader(f, 0, size), size, minio.PutObjectOptions{PartSize: partSize, NumThreads: jobs, SendContentMd5: md5}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func versitygw(b *testing.B) string {
	path, err := filepath.Abs("../../.cache/bin/versitygw")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		b.Skip("versitygw is not there: scripts/versitygw.sh builds it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data", "images"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "meta"), 0o700); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, "--port", address, "--region", "us-south", "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 600 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("versitygw does not start")
	return ""
}
