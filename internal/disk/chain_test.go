package disk

import (
	"testing"
)

func TestChain(t *testing.T) {
	var first Chain
	if first.Depth() != 0 || first.TooLong() || first.Loops("") || first.Loops("a") {
		t.Errorf("the first image has a chain: %+v", first)
	}
	second := first.Next("a")
	third, other := second.Next(""), second.Next("b")
	if !second.Loops("a") || !third.Loops("a") || third.Loops("b") || !other.Loops("b") || third.Loops("") || first.Loops("a") {
		t.Error("Loops does not find the ID, or finds another")
	}
	if third.Depth() != 2 {
		t.Errorf("depth %d, want 2", third.Depth())
	}
	c := first
	for range MaxChain {
		if c = c.Next(""); c.TooLong() {
			t.Fatalf("a depth of %d is too long", c.Depth())
		}
	}
	if !c.Next("").TooLong() {
		t.Errorf("a depth of %d is not too long", c.Depth()+1)
	}
}
