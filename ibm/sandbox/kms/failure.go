package kms

import (
	"fmt"
	"net/http"
)

// A Failure is an error response of Key Protect. Codes and texts follow its documentation.
type Failure struct {
	Status  int
	Code    string // code of the reason, or ""
	Message string
}

func (f *Failure) Error() string { return fmt.Sprintf("HTTP %d %s: %s", f.Status, f.Code, f.Message) }

func badBody(format string, args ...any) *Failure {
	return &Failure{400, "BAD_BODY_ERR", "Invalid body data was passed. Please ensure the data passed had valid formatting with no invalid characters: " + fmt.Sprintf(format, args...)}
}

var (
	failToken       = &Failure{401, "UNAUTHORIZED_ERR", "Unauthorized: The token is invalid"}
	failExpired     = &Failure{401, "UNAUTHORIZED_ERR", "Unauthorized: The token has expired"}
	failAccess      = &Failure{401, "UNAUTHORIZED_ERR", "Unauthorized: The user does not have access to the specified resource"}
	failNotFound    = &Failure{404, "KEY_NOT_FOUND_ERR", "Key does not exist"}
	failRootOnly    = &Failure{400, "KEY_ROOT_REQ_ERR", "Requested action can only be completed with a root key."}
	failKeyExpired  = &Failure{400, "KEY_EXPIRED_ERR", "The key has expired"}
	failState       = &Failure{409, "KEY_ACTION_INVALID_STATE_ERR", "Key is not in a valid state"}
	failDeleted     = &Failure{410, "KEY_DELETED_ERR", "Key has already been deleted. Please delete references to this key."}
	failCiphertext  = &Failure{422, "UNPROCESSABLE_CIPHERTEXT_ERR", "The provided ciphertext is invalid or corrupted"}
	failNoBody      = &Failure{400, "NO_BODY_ERR", "No body was passed when a body was required"}
	failTotal       = &Failure{400, "COLLECTION_TOTAL_MISMATCH_ERR", "Collection total does not match number of resources"}
	failOtherPolicy = &Failure{400, "BODY_QUERY_PARAM_MISMATCH_ERR", "Data in body does not match data required by query parameter"}
	failEarly       = &Failure{409, "REQ_TOO_EARLY_ERR", "The key was updated recently. Please wait and try again."}
	failRotated     = &Failure{409, "KEY_ROTATION_NOT_PERMITTED", "This root key has been rotated within the last hour: Only one 'rotate' action per hour is permitted"}
	failRestoreOver = &Failure{400, "KEY_RESTORE_EXPIRED", "Key restoration has expired"}
	failProtected   = &Failure{409, "PROTECTED_RESOURCE_ERR", "Key is protecting one or more cloud resources"}
	failRetention   = &Failure{409, "PREV_KEY_DEL_ERR", "The key cannot be deleted because it's protecting a cloud resource that has a retention policy. Before you delete this key, contact an account owner to remove the retention policy on each resource that is associated with the key."}
	failApproval    = &Failure{409, "AUTHORIZATIONS_NOT_MET", "Number of authorizations required to delete is not met"}
	failNotDual     = &Failure{409, "NOT_DUAL_AUTH_ERR", "The key is not dual auth enabled and cannot be set for deletion"}
	failCreateBan   = &Failure{409, "KEY_CREATE_IMPORT_ACCESS_ERR", "KeyCreateImportAccess instance policy does not allow this action"}
	failServiceOnly = &Failure{403, "SERVICE_ONLY_ERR", "This action can only be done by a service (service to service)"}
	failNoRing      = &Failure{404, "KEY_RING_NOT_FOUND_ERR", "Key ring does not exist"}
	failRingUsed    = &Failure{409, "KEY_RING_NOT_EMPTY_ERR", "The specified key ring contains at least one key (in any state)"}
	failAliasTaken  = &Failure{409, "KEY_ALIAS_NOT_UNIQUE_ERR", "One or more aliases are already associated with a key in the instance"}
	failNeedPayload = &Failure{400, "KEY_PAYLOAD_REQ_ERR", "This root key was created with user-supplied key material: Key material is required to rotate the key"}
	failNoPayload   = &Failure{400, "KEY_IMPT_REQ_ERR", "Requested action can only be completed with an imported root key"}
	failTokenOver   = &Failure{409, "IMPORT_TOKEN_EXPIRED_ERR", "The key import token has expired"}
	failNonce       = &Failure{400, "INCORRECT_NONCE_ERR", "The nonce that was provided does not match the import token"}
	failNonceIV     = &Failure{400, "INCORRECT_NONCE_IV_ERR", "Both of encryptedNonce and iv must be given"}
)

// writeFailure writes the error document. what is a sentence about the failed operation, such as
// "Key could not be created".
func writeFailure(w http.ResponseWriter, f *Failure, what string) {
	type reason struct {
		Code     string `json:"code"`
		Message  string `json:"message"`
		Status   int    `json:"status"`
		MoreInfo string `json:"moreInfo"`
	}
	type resource struct {
		Message string   `json:"errorMsg"`
		Reasons []reason `json:"reasons,omitempty"`
	}
	res := resource{Message: f.Message}
	if f.Code != "" {
		res.Reasons = []reason{{f.Code, f.Message, f.Status, "https://cloud.ibm.com/apidocs/key-protect"}}
		if f.Status != http.StatusUnauthorized {
			res.Message = fmt.Sprintf("%s: %s. Please see `reasons` for more details.", http.StatusText(f.Status), what)
		}
	}
	writeJSON(w, f.Status, map[string]any{
		"metadata":  metadata{"application/vnd.ibm.kms.error+json", 1},
		"resources": []resource{res},
	})
}

type metadata struct {
	Type  string `json:"collectionType"`
	Total int    `json:"collectionTotal"`
}
