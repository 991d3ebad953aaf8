package audit

import "strings"

// renamed are the names of events of the key services that have changed, without the service in
// front, and what they are today (ibm-cloud-docs/key-protect and hs-crypto, at-events.md,
// "Historical reference mapping of event names").
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

// Current returns the name that the action of an event has today: some events of the key
// services had others. A name that has not changed is returned as it is, in lower case.
func Current(action string) string {
	action = strings.ToLower(action)
	service, name, _ := strings.Cut(action, ".")
	if now, ok := renamed[name]; ok && (service == "kms" || service == "hs-crypto") {
		return service + "." + now
	}
	return action
}
