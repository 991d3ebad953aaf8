// Command site makes a static site of the README and docs, with search. It needs no server and also
// works from a folder.
//
//	site [-root REPOSITORY] OUT
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "folder of the repository")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: site [-root REPOSITORY] OUT")
		os.Exit(1)
	}
	s, err := load(*root)
	if err == nil {
		err = s.write(flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
	fmt.Printf("%d pages: %s/index.html\n", len(s.pages), flag.Arg(0))
}
