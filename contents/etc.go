package contents

import "strings"

// parseOSRelease parses os-release(5): shell assignments, of which it interprets only quotes and
// backslashes.
func parseOSRelease(b []byte) *OS {
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && (key == "ID" || key == "VERSION_ID" || key == "PRETTY_NAME") {
			values[key] = clean(unquote(value))
		}
	}
	return &OS{ID: values["ID"], Version: values["VERSION_ID"], Name: values["PRETTY_NAME"]}
}

// unquote removes shell quotes and escapes.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// maxMounts is the maximum number of lines of an fstab that are kept.
const maxMounts = 64

// parseFstab parses fstab(5).
func parseFstab(b []byte) []Mount {
	var all []Mount
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(all) == maxMounts {
			break
		}
		all = append(all, Mount{Device: clean(f[0]), Path: clean(f[1]), Type: clean(f[2])})
	}
	return all
}
