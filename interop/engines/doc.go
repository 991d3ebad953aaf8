// Package engines tests the examples for array engines, in examples/kubernetes and examples/batch, by
// the types of the engines' APIs, and runs the commands that are in them. It is a separate module, so
// that luksimg does not depend on these APIs. It contains only tests. The example of AWS is checked by the command
// aws, if that is installed.
package engines
