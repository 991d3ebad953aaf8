// Package guides runs the commands in the guides of this project's documentation, so that each
// works as it stands. It has tests only.
package guides
