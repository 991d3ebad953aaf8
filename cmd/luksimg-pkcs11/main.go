// Luksimg-pkcs11 wraps a key with a root key on a PKCS#11 token. luksimg starts it for --kms pkcs11:. It is a
// separate program for two reasons: a static program cannot load libraries, and a module's code should run in a
// process that holds nothing but one key.
//
// It reads one request, a JSON object, from standard input. It writes one answer as the last line of standard output.
// docs/pkcs11.md specifies both. It accepts no arguments, and tries a PIN once.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "luksimg-pkcs11: luksimg starts this program for --kms pkcs11: it reads a request from standard input and accepts no arguments")
		os.Exit(1)
	}
	hideMemory()
	runtime.LockOSThread()
	a := serve(os.Stdin)
	text, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	// Start a new line: a module may have written to standard output.
	os.Stdout.Write(append(append([]byte("\n"), text...), '\n'))
	clear(text)
}

// serve reads a request and returns its answer.
func serve(in io.Reader) answer {
	buf := make([]byte, maxRequest+1) // a buffer that grows would leave copies of the PIN
	defer clear(buf)
	n, err := io.ReadFull(in, buf)
	switch {
	case err == nil:
		return refuse(classRequest, "the request has more than %d bytes", maxRequest)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return refuse(classRequest, "%v", err)
	}
	q, err := parseRequest(buf[:n])
	defer clear(q.PIN)
	defer clear(q.Data)
	if err != nil {
		return refuse(classRequest, "the request is malformed: %v", err)
	}
	a, err := q.run()
	if err == nil {
		a.Version = version
		return *a
	}
	var f *fault
	var e *cryptoki.Error
	if !errors.As(err, &f) {
		f = &fault{Class: classOf(err), Message: err.Error()}
		if errors.As(err, &e) {
			f.Message = e.Function + " failed"
		}
	}
	if errors.As(err, &e) {
		f.Code = e.Result.String()
	}
	return answer{Version: version, Fault: f}
}
