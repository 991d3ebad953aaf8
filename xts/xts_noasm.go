//go:build (!amd64 && !arm64) || purego

package xts

// implementations lists the implementations that this machine supports, fastest first.
var implementations = []implementation{genericImplementation}
