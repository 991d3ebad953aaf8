package memory

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// bounds returns the limits of the process's memory, as far as they are known.
func bounds() []bound {
	limit := func(resource int) uint64 {
		var r syscall.Rlimit
		if syscall.Getrlimit(resource, &r) != nil {
			return math.MaxUint64
		}
		return uint64(r.Cur) //nolint:unconvert // the type differs between systems
	}
	return system{os.DirFS("/"), limit(syscall.RLIMIT_AS), limit(syscall.RLIMIT_DATA)}.bounds()
}

// A system is where the limits of a process are read from.
type system struct {
	root fs.FS // has /proc and /sys
	as   uint64
	data uint64 // as and data: RLIMIT_AS and RLIMIT_DATA, in bytes
}

func (s system) bounds() []bound {
	var all []bound
	status, info := s.fields("proc/self/status"), s.fields("proc/meminfo")
	for _, l := range []struct {
		limit uint64
		field string
		name  string
	}{
		{s.as, "VmSize", "the limit of the address space, ulimit -v"},
		{s.data, "VmData", "the limit of the data segment, ulimit -d"},
	} {
		if used, ok := status[l.field]; ok && l.limit < math.MaxInt64 {
			all = append(all, bound{l.name, int64(l.limit) - used, true})
		}
	}
	swap := info["SwapFree"]
	if free, ok := info["MemAvailable"]; ok {
		all = append(all, bound{"the free memory of the machine", free + swap, false})
	}
	if free, ok := s.cgroup(swap); ok {
		all = append(all, bound{"the limit of the control group", free, false})
	}
	return all
}

// cgroup returns how many bytes the control groups of the process leave it, and whether any of them has
// a limit.
func (s system) cgroup(swapFree int64) (int64, bool) {
	least, limited := int64(math.MaxInt64), false
	for _, line := range strings.Split(s.text("proc/self/cgroup"), "\n") {
		// "0::/a/b" is version 2, "4:memory:/a/b" is version 1.
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		free := s.cgroup2
		if parts[0] != "0" || parts[1] != "" {
			free = s.cgroup1
			if parts[1] != "memory" {
				continue
			}
		}
		// The limits of all parent groups apply too. In a container the path can be that of the host,
		// of which only the root is visible.
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if n, ok := free(strings.Trim(dir, "/"), swapFree); ok {
				least, limited = min(least, n), true
			}
			if dir == "/" {
				break
			}
		}
	}
	return least, limited
}

func (s system) cgroup2(dir string, swapFree int64) (int64, bool) {
	at := func(name string) string { return path.Join("sys/fs/cgroup", dir, name) }
	limit, ok := s.number(at("memory.max"))
	used, ok2 := s.number(at("memory.current"))
	if !ok || !ok2 {
		return 0, false
	}
	stat := s.fields(at("memory.stat"))
	if swapLimit, ok := s.number(at("memory.swap.max")); ok {
		swapUsed, _ := s.number(at("memory.swap.current"))
		swapFree = min(swapFree, max(0, swapLimit-swapUsed))
	}
	return limit - used + stat["active_file"] + stat["inactive_file"] + swapFree, true
}

func (s system) cgroup1(dir string, _ int64) (int64, bool) {
	at := func(name string) string { return path.Join("sys/fs/cgroup/memory", dir, name) }
	limit, ok := s.number(at("memory.limit_in_bytes"))
	used, ok2 := s.number(at("memory.usage_in_bytes"))
	if !ok || !ok2 || limit > math.MaxInt64/2 { // "no limit" is a very large value
		return 0, false
	}
	stat := s.fields(at("memory.stat"))
	return limit - used + stat["total_active_file"] + stat["total_inactive_file"], true
}

func (s system) text(name string) string {
	b, err := fs.ReadFile(s.root, name)
	if err != nil {
		return ""
	}
	return string(b)
}

// number returns the number in a file. "max" is not a number.
func (s system) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s.text(name)), 10, 64)
	return n, err == nil
}

// fields returns the numbers in the lines "name value" or "name: value kB" of a file, in bytes.
func (s system) fields(name string) map[string]int64 {
	all := make(map[string]int64)
	for _, line := range strings.Split(s.text(name), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		if len(f) == 3 && f[2] == "kB" {
			n <<= 10
		}
		all[strings.TrimSuffix(f[0], ":")] = n
	}
	return all
}
