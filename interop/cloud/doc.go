// Package cloud has clients that this project did not write judge ibm/sandbox: the SDKs of IBM
// Cloud and of S3, and the command lines that Debian has. It is a module of its own, so that what
// they need is no dependency of luksimg. There is nothing in it but tests.
package cloud
