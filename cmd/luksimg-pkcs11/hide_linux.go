package main

import "syscall"

// hideMemory prevents other processes of the user from reading this process's memory, which holds a PIN and a key. It
// also prevents core files.
func hideMemory() {
	const setDumpable = 4 // PR_SET_DUMPABLE
	syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
}
