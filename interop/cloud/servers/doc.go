// Package servers tests ibm/cos with independent servers, through networks that fail.
package servers
