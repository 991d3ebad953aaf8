// Package guides runs the commands in the guides of this project's documentation, to test that each one
// works as printed. It contains only tests.
package guides
