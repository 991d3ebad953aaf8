package usage

import "strings"

// A group is a heading in the list of flags.
type group int

const (
	own    group = iota // flags of this verb only
	source              // the image to read
	key                 // keys that open an image, and root keys
	output              // the image to write
	server              // the server to order
	cloud               // access to services
	advanced
)

var titles = map[group]string{
	own: "Flags", source: "Source flags", key: "Key flags", output: "Output flags", server: "Server flags", cloud: "Service flags", advanced: "Advanced flags",
}

// groups lists the group of each flag that several verbs share. A flag that is not listed belongs to the verb itself.
var groups = byName(map[group]string{
	source: "allow-backing allow-empty allow-http allow-null-cipher allow-truncated any-disk member no-unpack oci-image partition " +
		"sha256-file snapshot source-format source-key-fd source-key-file source-passphrase-encoding source-passphrase-file source-sha256",
	key: "add-key-file clevis envelope generate-key header key-fd key-file key-ring key-slot kms new-key-fd new-key-file new-passphrase-encoding " +
		"new-passphrase-file passphrase-encoding passphrase-file policy root-key-crn token-id volume-key-file",
	output: "block-size cipher cluster-size compression discard-zeros fixed force format hash key-size label manifest profile sector-size sha256 " +
		"subsystem uuid verify",
	server: "billing boot-key-crn cpu datacenter disk domain hostname memory ssh-key subnet user-data-file vpc vpc-profile zone",
	cloud: "audit-log cos-url iam-url ibm-api-key-file kms-dedicated kms-url logs-url network poll private settle skip-authorization-check " +
		"softlayer-url timeout vpc-url",
	advanced: "help iter-time jobs kdf-memory-limit kdf-work-limit luks2-keyslots-size luks2-metadata-size max-unpacked max-window pbkdf " +
		"pbkdf-force-iterations pbkdf-memory pbkdf-parallel progress scratch-dir",
})

// byName inverts the lists.
func byName(lists map[group]string) map[string]group {
	m := make(map[string]group)
	for g, names := range lists {
		for _, name := range strings.Fields(names) {
			m[name] = g
		}
	}
	return m
}
