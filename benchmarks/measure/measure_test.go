package measure

import (
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		v    []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
	} {
		given := slices.Clone(test.v)
		if got := Median(test.v); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.v, got, test.want)
		}
		if !slices.Equal(test.v, given) {
			t.Error("Median changed its argument")
		}
	}
}

func TestRatio(t *testing.T) {
	a := Result{Rates: []float64{2, 30, 8}}
	b := Result{Rates: []float64{1, 10, 4}}
	if got := a.Ratio(b); got != 2 {
		t.Errorf("ratio %v, want 2", got)
	}
	if got := a.Batches(3); !slices.Equal(got, a.Rates) {
		t.Errorf("batches %v, want %v", got, a.Rates)
	}
}
