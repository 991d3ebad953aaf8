package main

import (
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdTyped writes the recovery key of a file in the forms that a person may type. "typed key" makes key.plain without
// dashes, key.upper in capitals, and key.both.
func cmdTyped(ts *testscript.TestScript, _ bool, args []string) {
	key := ts.ReadFile(args[0])
	plain := strings.ReplaceAll(key, "-", "")
	for ext, text := range map[string]string{"plain": plain, "upper": strings.ToUpper(key), "both": strings.ToUpper(plain)} {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+"."+ext), []byte(text), 0o600))
	}
}
