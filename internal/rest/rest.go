// Package rest is what the clients of cloud services share: which addresses may have a
// credential sent to them ([CheckURL], [HTTPClient]); a [Transport] that renews tokens and
// tries again; one [Error]; how to wait for what takes the cloud minutes ([Poll]), and to make
// what must not be made twice ([Create]); one [Clock].
package rest
