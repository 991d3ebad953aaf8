package memory

import (
	"errors"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

func files(all ...map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, m := range all {
		for name, text := range m {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return fsys
}

// proc describes a process of 200 MiB on a machine with 8 GiB of free memory.
var proc = map[string]string{
	"proc/self/status": "Name:\tx\nVmSize:\t  204800 kB\nVmData:\t  102400 kB\n",
	"proc/meminfo":     "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\nSwapFree:        1048576 kB\n",
}

func TestBounds(t *testing.T) {
	const none = math.MaxUint64
	v2 := map[string]string{
		"proc/self/cgroup":                    "0::/a/b\n",
		"sys/fs/cgroup/a/memory.max":          "2147483648\n",
		"sys/fs/cgroup/a/memory.current":      "1073741824\n",
		"sys/fs/cgroup/a/memory.stat":         "anon 5\nactive_file 1048576\ninactive_file 2097152\n",
		"sys/fs/cgroup/a/memory.swap.max":     "0\n",
		"sys/fs/cgroup/a/memory.swap.current": "0\n",
		"sys/fs/cgroup/a/b/memory.max":        "max\n",
		"sys/fs/cgroup/a/b/memory.current":    "4096\n",
	}
	// The path is that of the host, of which a container sees only the root.
	v1 := map[string]string{
		"proc/self/cgroup":                           "5:cpu:/docker/x\n4:memory:/docker/x\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
		"sys/fs/cgroup/memory/memory.usage_in_bytes": "104857600\n",
		"sys/fs/cgroup/memory/memory.stat":           "total_inactive_file 4194304\n",
	}
	unlimited := maps.Clone(v1)
	unlimited["sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n"
	for name, c := range map[string]struct {
		s    system
		want map[string]int64 // MiB, by a part of the name
	}{
		"nothing known":  {system{files(), none, none}, nil},
		"free memory":    {system{files(proc), none, none}, map[string]int64{"free memory": 9 << 10}},
		"ulimit":         {system{files(proc), 1 << 30, 512 << 20}, map[string]int64{"free memory": 9 << 10, "ulimit -v": 824, "ulimit -d": 412}},
		"cgroup v2":      {system{files(proc, v2), none, none}, map[string]int64{"free memory": 9 << 10, "control group": 1027}},
		"cgroup v1":      {system{files(proc, v1), none, none}, map[string]int64{"free memory": 9 << 10, "control group": 416}},
		"cgroup without": {system{files(proc, unlimited), none, none}, map[string]int64{"free memory": 9 << 10}},
	} {
		got := c.s.bounds()
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for part, want := range c.want {
			found := false
			for _, b := range got {
				if strings.Contains(b.name, part) {
					found = true
					if b.free>>20 != want {
						t.Errorf("%s: %s: %d MiB, want %d", name, b.name, b.free>>20, want)
					}
				}
			}
			if !found {
				t.Errorf("%s: no bound %q in %v", name, part, got)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	all := []bound{{"large", 8 << 30, false}, {"small", 700 << 20, true}}
	err := check(1<<30, all, 0, 0)
	if !errors.Is(err, ErrShort) || err.Error() != "not enough memory: need 1 GiB, have 620 MiB (small)" {
		t.Error(err)
	}
	if err := check(600<<20, all, 0, 0); err != nil {
		t.Error(err)
	}
	// The heap can reuse its idle memory. If the idle memory is less than the request, it may be
	// fragmented.
	if err := check(1<<30, all, 1<<30, 0); err != nil {
		t.Error(err)
	}
	if err := check(1<<30, all, 1<<30-1, 1<<30); err == nil {
		t.Error("Check allowed fragmented memory")
	}
	if err := check(1<<20, []bound{{"none", math.MaxInt64, false}}, 1<<30, 1<<30); err != nil {
		t.Error(err)
	}
	if err := Check(1 << 20); err != nil {
		t.Error(err)
	}
	if err := Check(math.MaxInt64 / 2); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
}
