package main

import "syscall"

// hideMemory keeps other processes of the user from reading the memory of this one, where a PIN and a
// key are, and the kernel from writing it to a core file.
func hideMemory() {
	const setDumpable = 4 // PR_SET_DUMPABLE
	syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
}
