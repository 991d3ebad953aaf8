// Package engines tests the examples for array engines in examples/kubernetes and examples/batch. It
// checks them against the types of the engines' APIs, and runs their commands. The client aws, if
// installed, checks the example for AWS. The package is a separate module, so that luksimg does not
// depend on these APIs. It contains only tests.
package engines
