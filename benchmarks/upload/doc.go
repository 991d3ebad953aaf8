// Package upload measures the upload of ibm/cos beside that of minio-go, to versitygw. It is a module
// of its own, so that what minio-go needs changes nothing else that is measured.
package upload
