package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestShardFullDisk fills a small filesystem at each step: before the job, before the image and its records, and before
// the manifest. Each step must report that, keep complete files, and succeed once there is space.
func TestShardFullDisk(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 4<<20)
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	text := onSmallDisk(t, luksimg, dir, `
sha256sum disk >sum
plan="$0 shard plan -q --key-file key --format luks1 --pbkdf-force-iterations 1000 --part-size 5M --shards 2"
fill() { head -c 9m /dev/zero >mnt/fill 2>/dev/null; truncate -s "-$1" mnt/fill; }
try() { echo "step: $1"; shift; "$@" 2>&1; echo "code $?"; }
room() { rm mnt/fill; }

fill 0
try plan $plan disk image mnt/job
ls -A . mnt
room
$plan disk image mnt/job && "$0" shard run -q --key-file key --shard 0 mnt/job
fill 0
try "plan again" $plan --force disk image mnt/job
"$0" shard status mnt/job
room
"$0" shard abort mnt/job

$plan disk mnt/image job
fill 3m
try part "$0" shard run -q --key-file key --shard 0 job
"$0" shard status job
try finish "$0" shard finish job
room
try "part again" "$0" shard run -q --key-file key --shard 0 job
rm mnt/image.luksimg-shard/*-0.json
fill 0
try record "$0" shard run -q --key-file key --shard 0 job
"$0" shard status job
ls mnt/image.luksimg-shard | wc -l
room
try "record again" "$0" shard run -q --key-file key --shard 0 job
"$0" shard run -q --key-file key --shard 1 job
fill 0
try manifest "$0" shard finish -q --manifest mnt/manifest job
ls mnt
try image "$0" shard finish -q --verify job
ls mnt
"$0" verify -q --key-file key disk mnt/image && sha256sum -c sum
`)
	steps := map[string]string{}
	for _, s := range strings.Split(text, "step: ")[1:] {
		name, rest, _ := strings.Cut(s, "\n")
		steps[name] = rest
	}
	const noRoom = "no space left on device\nluksimg: hint: "
	for name, want := range map[string][]string{
		"plan":         {noRoom + "luksimg writes the whole output", "code 1\n.:\ndisk\nkey\nmnt\nsum\n\nmnt:\nfill\n"},
		"plan again":   {noRoom + "luksimg writes the whole output", "code 1\n", "shard 0:  done"},
		"part":         {"error: part 1: write ", noRoom + "make room in ", "run the same command again to resume\ncode 1\n", "shard 0:  waiting"},
		"finish":       {"2 of 2 shards are missing", "code 5\n"},
		"part again":   {"1 made", "code 0\n"},
		"record":       {"error: write ", "-0.json.", noRoom + "make room in ", "code 1\n", "shard 0:  waiting", "\n1\n"},
		"record again": {"1 made", "code 0\n"},
		"manifest":     {noRoom, "code 1\nfill\nimage.luksimg-shard\n"},
		"image":        {"code 0\nfill\nimage\n", "disk: OK\n"},
	} {
		for _, w := range want {
			if !strings.Contains(steps[name], w) {
				t.Errorf("%s: there is no %q in\n%s", name, w, steps[name])
			}
		}
	}
}
