// Package rest is the common part of the clients of cloud services. [CheckURL] and [HTTPClient]
// decide which addresses may receive credentials. A [Transport] renews tokens and retries
// requests. [Poll] waits for long operations, and [Create] creates a resource exactly
// once. All clients share [Error] and [Clock].
package rest
