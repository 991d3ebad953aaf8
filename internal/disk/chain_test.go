package disk

import (
	"testing"
)

func TestChain(t *testing.T) {
	var first Chain
	if first.Depth() != 0 || first.TooLong() || first.Loops("") || first.Loops("a") {
		t.Errorf("the zero Chain is not empty: %+v", first)
	}
	second := first.Next("a")
	third, other := second.Next(""), second.Next("b")
	if !second.Loops("a") || !third.Loops("a") || third.Loops("b") || !other.Loops("b") || third.Loops("") || first.Loops("a") {
		t.Error("Loops misses an ID of the chain or finds an absent one")
	}
	if third.Depth() != 2 {
		t.Errorf("depth %d, want 2", third.Depth())
	}
	c := first
	for range MaxChain {
		if c = c.Next(""); c.TooLong() {
			t.Fatalf("TooLong at depth %d, want false", c.Depth())
		}
	}
	if !c.Next("").TooLong() {
		t.Errorf("not TooLong at depth %d, want true", c.Depth()+1)
	}
}
