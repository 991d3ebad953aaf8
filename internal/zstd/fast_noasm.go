//go:build !amd64 || purego

package zstd

// useAssembly is false: this build has no assembly.
var useAssembly = false

func (l *lanes) run(bottom int) { l.runGeneric(bottom) }

func (s *sequences) run() { s.runGeneric() }

func (c *composition) run() { c.runGeneric() }

func (x *xxh64) stripes(p []byte) { x.stripesGeneric(p) }
