// Package servers has ibm/cos judged by servers that this project did not write, through networks
// that fail.
package servers
