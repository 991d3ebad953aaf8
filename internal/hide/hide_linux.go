// Package hide keeps the memory of the process, where keys are, from others.
package hide

import "golang.org/x/sys/unix"

// Memory keeps other processes of the user from reading the memory of this one, where
// keys are, the kernel from writing it to a core file, and, where the process may lock all of
// it, to swap space. If it fails, all is as it would be elsewhere.
func Memory() {
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if MayLock() {
		// Pages are locked when they are first used: what is only reserved takes no memory.
		unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
}

// MayLock tells whether the process may lock as much memory as it will ever take. With less,
// a later allocation would fail, and end the process.
func MayLock() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}
