//go:build (amd64 || arm64) && !purego

package xts

// implementations lists what this machine can run, fastest first.
var implementations = append(simdImplementations(detect()), genericImplementation)
