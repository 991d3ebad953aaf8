// Package keyprotect tests luksimg-sandbox with version 1 of the Key Protect client. It is a separate
// module, because luksimg depends on the previous version.
package keyprotect
