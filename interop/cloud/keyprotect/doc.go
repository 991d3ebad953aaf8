// Package keyprotect has the Key Protect client of version 1 judge the sandbox, as a program. It is a
// module of its own, as this version has nothing of what luksimg needs of the one before it.
package keyprotect
