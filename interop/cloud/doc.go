// Package cloud tests ibm/sandbox with independent clients: the SDKs of IBM Cloud and of S3, and the
// S3 commands of Debian. It is a separate module, so that luksimg does not depend on these clients.
// It contains only tests.
package cloud
