// Package upload compares uploads to versitygw by ibm/cos and by minio-go. It is a separate module, so
// that minio-go's dependencies do not change the versions in the other benchmarks.
package upload
