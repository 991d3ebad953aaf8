package complete

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks/policy"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

// A place is a numbered argument of a verb.
type place struct {
	verb string
	arg  int
}

// objects are the arguments that always name objects. folders are the arguments that always name folders.
var (
	objects = map[place]bool{{"download", 0}: true, {"export", 1}: true, {"import", 0}: true, {"upload", 1}: true}
	folders = map[place]bool{{"man", 0}: true}
)

// local begins the name of a root key in a file.
const local = string(kmsuri.Local) + ":"

// schemes are the schemes of root keys.
var schemes = []string{
	local + "\ta root key in a file",
	string(kmsuri.IBM) + ":\tKey Protect or Hyper Protect Crypto Services, by the CRN",
	string(kmsuri.Vault) + ":\tHashiCorp Vault or OpenBao, as MOUNT/KEY",
	string(kmsuri.AWSKMS) + ":\tAWS Key Management Service, by the ARN",
	string(kmsuri.PKCS11) + ":\ta PKCS#11 token, as token=TOKEN;object=KEY",
}

// policies returns the names of the built-in policies.
func policies() []string { return policy.Names() }

// values lists the values of each flag that accepts only certain words. The verb precedes the flag's name if the
// values are specific to that verb.
var values = map[string]string{
	"billing":                    "hourly monthly",
	"changed-source":             "refuse encrypt keep",
	"cipher":                     "aes-xts-plain64",
	"class":                      "standard vault cold smart",
	"compression":                "zlib zstd",
	"convert format":             written,
	"convert sector-size":        "512 4096",
	"decrypt format":             written,
	"decrypt sector-size":        "512 4096",
	"disk":                       "san local",
	"format":                     "luks1 luks2 vhd qcow2",
	"hash":                       "sha256 sha512 sha1",
	"header convert format":      "luks1 luks2",
	"key-size":                   "512 256",
	"man format":                 "man markdown",
	"network":                    "public private direct",
	"new-passphrase-encoding":    encodings,
	"passphrase-encoding":        encodings,
	"pbkdf":                      "argon2id argon2i pbkdf2",
	"reencrypt format":           "luks1 luks2",
	"sector-size":                "512 1024 2048 4096",
	"serve format":               "luks1 luks2",
	"source-passphrase-encoding": encodings,
	"syntax":                     "dataprime lucene",
	"target":                     "classic vpc",
	"tier":                       "frequent_search archive",
}

const (
	written   = "raw vhd vhdx vmdk qcow2"
	encodings = "raw hex base64"
)

// Values returns the values that a flag of a verb accepts, or nil if they are not a fixed list.
func Values(verb, flag string) []string {
	var found []string
	switch flag {
	case "profile":
		for _, p := range luksimg.Profiles() {
			found = append(found, string(p))
		}
		return found
	case "progress":
		return term.Modes
	case "source-format":
		for _, f := range luksimg.Formats() {
			found = append(found, string(f))
		}
		return found
	}
	words, ok := values[verb+" "+flag]
	if !ok {
		words = values[flag]
	}
	return strings.Fields(words)
}

// asked lists the flags whose values come from an image on the command line.
var asked = map[string]func(c *cobra.Command, args []string) []string{
	"encrypt key-slot":    none,
	"key add key-slot":    freeSlots,
	"key-slot":            usedSlots,
	"member":              members,
	"partition":           partitions,
	"shard plan key-slot": none,
	"snapshot":            snapshots,
	"token add token-id":  none,
	"token-id":            tokens,
}

// none is for numbers that no image supplies.
func none(*cobra.Command, []string) []string { return nil }
