package audit

import "strings"

// renamed maps former event names of the key services, without the service prefix, to the current
// ones (ibm-cloud-docs/key-protect and hs-crypto, at-events.md, "Historical reference mapping of
// event names").
var renamed = map[string]string{
	"governance.configread":        "governance-config.read",
	"importtoken.create":           "import-token.create",
	"importtoken.read":             "import-token.read",
	"importtoken.default":          "import-token.request",
	"instance.readallowedipport":   "instance-allowed-ip-port.read",
	"instance.readipwhitelistport": "instance-ip-allowlist-port.read",
	"instancepolicies.write":       "instance-policies.write",
	"instancepolicies.read":        "instance-policies.read",
	"instancepolicies.default":     "instance-policies.request",
	"keyrings.create":              "key-rings.create",
	"keyrings.delete":              "key-rings.delete",
	"keyrings.list":                "key-rings.list",
	"keyrings.default":             "key-rings.request",
	"secrets.defaultalias":         "secrets-alias.request",
	"secrets.createalias":          "secrets-alias.create",
	"secrets.deletealias":          "secrets-alias.delete",
	"secrets.eventack":             "secrets-event.ack",
	"secrets.listkeyversions":      "secrets-key-versions.list",
	"secrets.readmetadata":         "secrets-metadata.read",
}

// Current returns the current name of an action, in lower case. IBM has renamed some events of the
// key services; other names are returned unchanged except for case.
func Current(action string) string {
	action = strings.ToLower(action)
	service, name, _ := strings.Cut(action, ".")
	if now, ok := renamed[name]; ok && (service == "kms" || service == "hs-crypto") {
		return service + "." + now
	}
	return action
}
