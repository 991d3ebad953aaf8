// Command localkms is local-kms, which imitates AWS KMS. Its first argument is the loopback address to
// listen on, because local-kms itself listens on all addresses. The second is its folder.
//
// It adds two features that local-kms lacks: RotateKeyOnDemand of AES keys, and an identity that may
// only encrypt, whose access key ID is [encryptsOnly].
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/nsmithuk/local-kms/src"
	"github.com/nsmithuk/local-kms/src/cmk"
	"github.com/nsmithuk/local-kms/src/config"
	"github.com/nsmithuk/local-kms/src/data"
	"github.com/nsmithuk/local-kms/src/service"
)

const encryptsOnly = "AKIAENCRYPTSONLY"

func main() {
	config.AWSRegion, config.AWSAccountId = "eu-central-1", "111122223333"
	database := data.NewDatabase(os.Args[2])
	defer database.Close()
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			refuse(w, "ValidationException", err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var q struct {
			KeyID string `json:"KeyId"`
		}
		json.Unmarshal(body, &q)
		switch {
		case op != "Encrypt" && strings.Contains(r.Header.Get("Authorization"), "Credential="+encryptsOnly+"/"):
			refuse(w, "AccessDeniedException", fmt.Sprintf("User: arn:aws:iam::111122223333:user/builder is not authorized to perform: kms:%s on resource: %s because no identity-based policy allows the kms:%[1]s action", op, q.KeyID))
		case op == "RotateKeyOnDemand":
			rotate(w, database, q.KeyID)
		default:
			src.HandleRequest(w, r, database)
		}
	})))
}

// rotate gives a key new material. The previous material still decrypts.
func rotate(w http.ResponseWriter, database *data.Database, arn string) {
	key, err := database.LoadKey(arn)
	if err != nil {
		refuse(w, "NotFoundException", err.Error())
		return
	}
	k, ok := key.(*cmk.AesKey)
	if !ok {
		refuse(w, "UnsupportedOperationException", "not a symmetric key for encryption")
		return
	}
	k.BackingKeys = append(k.BackingKeys, [32]byte(service.GenerateRandomData(32)))
	if err := database.SaveKey(k); err != nil {
		refuse(w, "KMSInternalException", err.Error())
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"KeyId": arn})
}

func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}
