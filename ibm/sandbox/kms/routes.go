package kms

// A route is an operation of Key Protect. action is the name of its audit event without the
// service prefix (ibm-cloud-docs/key-protect, at-events.md, "Key events" and below).
// failed is the sentence in its error document.
type route struct {
	pattern, action, failed string
	serve                   func(*request) (int, any, *Failure)
}

func (s *Server) routes() []route {
	const keys, one = " /api/v2/keys", " /api/v2/keys/{id}"
	const instance, ring, token = " /api/v2/instance/policies", " /api/v2/key_rings", " /api/v2/import_token"
	const registrations = one + "/registrations/{crn}"
	return []route{
		{"POST" + keys, "secrets.create", "Key could not be created", s.createKey},
		{"POST" + keys + "_with_policy_overrides", "secrets.create", "Key could not be created", s.createKey},
		{"GET" + keys, "secrets.list", "Keys could not be retrieved", s.listKeys},
		{"GET" + one, "secrets.read", "Key could not be retrieved", s.getKey},
		{"GET" + one + "/metadata", "secrets-metadata.read", "Key metadata could not be retrieved", s.getMetadata},
		{"GET" + one + "/versions", "secrets-key-versions.list", "KeyVersion(s) could not be retrieved", s.listVersions},
		{"PATCH" + one, "secrets.patch", "Key could not be updated", s.moveKey},
		{"DELETE" + one, "secrets.delete", "Key could not be deleted", s.deleteKey},
		{"DELETE" + one + "/purge", "secrets.purge", "Key could not be purged", s.purgeKey},
		{"POST" + one + "/restore", "secrets.restore", "Key could not be restored", s.restoreKey},
		{"POST" + one + "/actions/wrap", "secrets.wrap", "Wrap with key could not be performed", s.wrap},
		{"POST" + one + "/actions/unwrap", "secrets.unwrap", "Unwrap with key could not be performed", s.unwrap},
		{"POST" + one + "/actions/rewrap", "secrets.rewrap", "Rewrap with key could not be performed", s.rewrap},
		{"POST" + one + "/actions/rotate", "secrets.rotate", "Key could not be rotated", s.rotate},
		{"POST" + one + "/actions/disable", "secrets.disable", "Key could not be disabled", s.disable},
		{"POST" + one + "/actions/enable", "secrets.enable", "Key could not be enabled", s.enable},
		{"POST" + one + "/actions/setKeyForDeletion", "secrets.setkeyfordeletion", "Action could not be performed on key", s.approveDeletion},
		{"POST" + one + "/actions/unsetKeyForDeletion", "secrets.unsetkeyfordeletion", "Action could not be performed on key", s.cancelDeletion},
		{"POST" + one + "/aliases/{alias}", "secrets-alias.create", "Key alias could not be created", s.createAlias},
		{"DELETE" + one + "/aliases/{alias}", "secrets-alias.delete", "Key alias could not be deleted", s.deleteAlias},
		{"GET" + one + "/policies", "policies.read", "Policies could not be retrieved", s.keyPolicies},
		{"PUT" + one + "/policies", "policies.write", "Policies could not be set", s.setKeyPolicies},
		{"GET" + keys + "/registrations", "registrations.list", "Registrations could not be retrieved", s.listRegistrations},
		{"GET" + one + "/registrations", "registrations.list", "Registrations could not be retrieved", s.listRegistrations},
		{"POST" + registrations, "registrations.create", "Registration could not be created", s.createRegistration},
		{"DELETE" + registrations, "registrations.delete", "Registration could not be deleted", s.deleteRegistration},
		{"GET" + instance, "instance-policies.read", "Instance policies could not be retrieved", s.instancePolicies},
		{"PUT" + instance, "instance-policies.write", "Instance policy could not be created", s.setInstancePolicies},
		{"POST" + ring + "/{ring}", "key-rings.create", "Key ring could not be created", s.createRing},
		{"GET" + ring, "key-rings.list", "Key rings could not be retrieved", s.listRings},
		{"DELETE" + ring + "/{ring}", "key-rings.delete", "Key ring could not be deleted", s.deleteRing},
		{"POST" + token, "import-token.create", "Import token could not be created", s.createImportToken},
		{"GET" + token, "import-token.read", "Import token could not be retrieved", s.getImportToken},
	}
}

// roles maps each action to the required role (key-protect, manage-access.md, tables 2 to 6).
var roles = map[string]string{
	"secrets.wrap": Reader, "secrets.unwrap": Reader, "secrets.rewrap": Reader, "secrets.list": Reader,
	"secrets-metadata.read": Reader, "secrets-key-versions.list": Reader, "key-rings.list": Reader,
	"registrations.list": Reader, "registrations.create": Reader, "registrations.delete": Reader,
	"secrets.read":   ReaderPlus,
	"secrets.create": Writer, "secrets.rotate": Writer, "import-token.create": Writer, "import-token.read": Writer, "key-rings.create": Writer,
	"secrets-alias.create": Writer, "secrets-alias.delete": Writer, "secrets.setkeyfordeletion": Writer, "secrets.unsetkeyfordeletion": Writer,
	"secrets.delete": Manager, "secrets.restore": Manager, "secrets.disable": Manager, "secrets.enable": Manager, "secrets.patch": Manager,
	"key-rings.delete": Manager, "policies.read": Manager, "policies.write": Manager, "instance-policies.read": Manager, "instance-policies.write": Manager,
	"secrets.purge": KeyPurge,
}
