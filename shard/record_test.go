package shard

import (
	"context"
	"strings"
	"testing"
)

// An oneRecord is a target with one record.
type oneRecord struct {
	Target
	b      []byte
	saves  int
	during func() // the first Save
}

func (o *oneRecord) Load(context.Context, string) ([]byte, error) { return o.b, nil }

func (o *oneRecord) Save(_ context.Context, _ string, b, _ []byte) error {
	if o.saves++; o.saves == 1 {
		o.during()
	}
	o.b = b
	return nil
}

// TestKeeper adds a part while the record is written. It is recorded without waiting for a third one, which may be
// hours away.
func TestKeeper(t *testing.T) {
	o := &oneRecord{}
	k := &keeper{j: &Job{Shards: 1, PartSize: MinPart}, t: o, parts: map[int]Part{}, check: func() error { return nil }}
	k.j.Image.FileSize = 3 * MinPart
	part := func(n int) Part {
		return Part{Number: n, Size: MinPart, SHA256: strings.Repeat("0", 64), Start: strings.Repeat("0", 64)}
	}
	o.during = func() {
		if err := k.add(t.Context(), part(2)); err != nil {
			t.Error(err)
		}
	}
	if err := k.add(t.Context(), part(1)); err != nil {
		t.Fatal(err)
	}
	if parts, err := k.j.parse(o.b, 0); err != nil || len(parts) != 2 || o.saves != 2 {
		t.Errorf("%d parts are recorded after %d writes, want 2 after 2: %v", len(parts), o.saves, err)
	}
}
