//go:build race

package cos_test

const raceEnabled = true
