// Package ciphers adds ciphers and hashes to package luks: the block ciphers Serpent, Twofish, Camellia
// and CAST5, the wide-block cipher Adiantum, and the hashes RIPEMD-160, Whirlpool, BLAKE2b and BLAKE2s.
// Import it for its side effect:
//
//	import _ "github.com/luksimg/luksimg/luks/ciphers"
//
// Use it for existing images. AES needs no import, is better studied, and is faster on every processor
// with AES instructions.
package ciphers
