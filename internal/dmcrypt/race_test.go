//go:build race

package dmcrypt

// raceEnabled is for tests of allocations: under the race detector, pools drop some of their items.
const raceEnabled = true
