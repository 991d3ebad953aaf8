package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

var moduleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)

// folders are the usual folders of modules, by operating system.
var folders = map[string][]string{
	"linux": {"/usr/lib/*-linux-gnu*/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/local/lib/pkcs11",
		"/usr/lib/*-linux-gnu*/softhsm", "/usr/lib64/softhsm", "/usr/lib/softhsm", "/usr/local/lib/softhsm",
		"/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/*/lib"},
	"darwin": {"/usr/local/lib/pkcs11", "/usr/local/lib", "/usr/local/lib/softhsm", "/opt/homebrew/lib/pkcs11", "/opt/homebrew/lib", "/opt/homebrew/lib/softhsm", "/Library/OpenSC/lib"},
}

// module returns the path of the module in a request. It searches for a name only in the usual folders.
func (q *request) module() (string, error) {
	switch {
	case q.ModulePath != "" && !filepath.IsAbs(q.ModulePath):
		return "", faultf(classModule, "%s: the path of a module must be absolute", q.ModulePath)
	case q.ModulePath != "":
		fi, err := os.Stat(q.ModulePath)
		if err != nil {
			return "", faultf(classModule, "%v", err)
		}
		if fi.IsDir() && q.ModuleName != "" {
			return find(q.ModuleName, []string{q.ModulePath})
		}
		return q.ModulePath, nil
	case q.ModuleName == "":
		return "", faultf(classModule, "no module is given")
	}
	return find(q.ModuleName, folders[runtime.GOOS])
}

func find(name string, in []string) (string, error) {
	if !moduleName.MatchString(name) {
		return "", faultf(classModule, "%.100q is not the name of a module: want one word, such as softhsm2", name)
	}
	for _, folder := range in {
		for _, pattern := range []string{"lib" + name + ".so", name + ".so", "lib" + name + ".dylib", name + ".dylib", name + ".dll"} {
			found, _ := filepath.Glob(filepath.Join(folder, pattern))
			if len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return "", faultf(classModule, "no module %s in the library folders: name its file with module-path", name)
}
