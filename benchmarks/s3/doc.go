// Package s3 holds tests and benchmarks with minio-go, a client of the S3 protocol that
// this project did not write: of ibm/sandbox/s3, and beside ibm/cos. It is a module of its
// own, so that minio-go and what that needs are no dependencies of luksimg.
package s3
