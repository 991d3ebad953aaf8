// Package hide protects the memory of the process, which holds keys, from other processes.
package hide

import "golang.org/x/sys/unix"

// Memory prevents other processes of the user from reading the memory of this one, and the
// kernel from writing it to a core file. If the process may lock all its memory, it also prevents
// swapping. It ignores errors: the memory is then unprotected.
func Memory() {
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if MayLock() {
		// Lock pages when they are first used, so that reserved memory costs nothing.
		unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
}

// MayLock reports whether the process may lock an unlimited amount of memory. With a limit,
// a later allocation could fail and end the process.
func MayLock() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}
