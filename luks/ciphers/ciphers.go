// Package ciphers adds to package luks what it does not have built in: the block
// ciphers Serpent, Twofish, Camellia and CAST5, Adiantum, and the hashes RIPEMD-160,
// Whirlpool, BLAKE2b and BLAKE2s. Import it for its side effect:
//
//	import _ "github.com/luksimg/luksimg/luks/ciphers"
//
// They are for images that exist already. AES, which needs no import, is better studied,
// and faster on every processor that has instructions for it.
package ciphers
