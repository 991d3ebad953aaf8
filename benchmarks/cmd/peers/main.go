// Command peers runs the peers of luksimg that have no program for exactly one task: containers/luksy
// as its command uses it, the converter of lima-vm/go-qcow2reader, a plain copy in several workers, and
// writing alone. Command job runs it.
//
//	peers luksy-encrypt 1|2 KEYFILE SRC DST
//	peers luksy-decrypt KEYFILE SRC DST
//	peers go-qcow2reader SRC DST
//	peers go-qcow2reader-map SRC
//	peers copy WORKERS SRC DST
//	peers write SRC DST
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	for len(args) < 5 {
		args = append(args, "")
	}
	switch args[0] {
	case "luksy-encrypt":
		return luksyEncrypt(args[1], args[2], args[3], args[4])
	case "luksy-decrypt":
		return luksyDecrypt(args[1], args[2], args[3])
	case "go-qcow2reader":
		return qcow2readerConvert(args[1], args[2])
	case "go-qcow2reader-map":
		return qcow2readerMap(args[1])
	case "copy":
		return copyFile(args[1], args[2], args[3])
	case "write":
		return writeFile(args[1], args[2])
	}
	return errors.New("no such peer")
}
