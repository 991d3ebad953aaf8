// Command minivault is an in-memory HashiCorp Vault with only the transit engine. Its argument is the
// loopback address to listen on, and $VAULT_DEV_ROOT_TOKEN_ID is the root token.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	storage, err := inmem.NewInmem(nil, logger)
	check(err)
	address := "http://" + os.Args[1]
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, RedirectAddr: address, ClusterAddr: "", Logger: logger, DisableMlock: true,
		LogicalBackends: map[string]logical.Factory{"transit": engine},
		BuiltinRegistry: registry{},
		DevToken:        os.Getenv("VAULT_DEV_ROOT_TOKEN_ID"),
	})
	check(err)
	ctx := namespace.RootContext(context.Background())
	init, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	check(err)
	open, err := core.Unseal(init.SecretShares[0])
	check(err)
	if !open {
		log.Fatal("sealed")
	}
	completeSystem(core)
	for try := 0; try < 100; try++ {
		if standby, _ := core.Standby(); !standby {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	_, err = core.HandleRequest(ctx, &logical.Request{Operation: logical.UpdateOperation, ClientToken: init.RootToken, Path: "auth/token/create",
		Data: map[string]interface{}{"id": os.Getenv("VAULT_DEV_ROOT_TOKEN_ID"), "policies": []string{"root"}, "no_parent": true}})
	check(err)
	l, err := net.Listen("tcp", os.Args[1])
	check(err)
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{MaxRequestSize: 1 << 20}})
	log.Fatal(http.Serve(l, handler))
}

// completeSystem completes the system backend, which Vault does not export.
func completeSystem(core *vault.Core) {
	f := reflect.ValueOf(core).Elem().FieldByName("systemBackend")
	complete(reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().Interface().(*vault.SystemBackend).Backend)
}

// complete sets fields that the released version of the SDK requires. Vault's own copy of the SDK is
// older and lacks them.
func complete(b *framework.Backend) {
	for _, p := range b.Paths {
		if _, creates := p.Operations[logical.CreateOperation]; (creates || p.Callbacks[logical.CreateOperation] != nil) && p.ExistenceCheck == nil {
			p.ExistenceCheck = func(context.Context, *logical.Request, *framework.FieldData) (bool, error) { return false, nil }
		}
	}
}

// engine is the factory of the transit engine.
func engine(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b, err := transit.Backend(ctx, conf)
	if err != nil {
		return nil, err
	}
	complete(b.Backend)
	return b, b.Setup(ctx, conf)
}

// registry is a plugin registry with only the transit engine.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	return name == "transit" && kind == consts.PluginTypeSecrets
}

func (r registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return func() (interface{}, error) { return logical.Factory(engine), nil }, r.Contains(name, kind)
}

func (registry) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
