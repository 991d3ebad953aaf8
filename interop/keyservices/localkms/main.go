// Command localkms is local-kms, which plays AWS KMS, in the folder of its second argument and on the
// loopback address of its first one: its own command listens on all addresses.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/nsmithuk/local-kms/src"
	"github.com/nsmithuk/local-kms/src/config"
	"github.com/nsmithuk/local-kms/src/data"
)

func main() {
	config.AWSRegion, config.AWSAccountId = "eu-central-1", "111122223333"
	database := data.NewDatabase(os.Args[2])
	defer database.Close()
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { src.HandleRequest(w, r, database) })))
}
