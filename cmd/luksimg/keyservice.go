package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/awskms"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/vault"
)

// Environment variables of the clients of Vault, OpenBao and AWS.
const (
	envVaultAddr      = "VAULT_ADDR"
	envVaultToken     = "VAULT_TOKEN"
	envVaultTokenFile = "VAULT_TOKEN_FILE" // luksimg only
	envVaultNamespace = "VAULT_NAMESPACE"
	envVaultCACert    = "VAULT_CACERT"

	envAWSKeyID       = "AWS_ACCESS_KEY_ID"
	envAWSSecret      = "AWS_SECRET_ACCESS_KEY"
	envAWSSession     = "AWS_SESSION_TOKEN"
	envAWSProfile     = "AWS_PROFILE"
	envAWSCredentials = "AWS_SHARED_CREDENTIALS_FILE"
	envAWSEndpoint    = "AWS_ENDPOINT_URL_KMS"
	envAWSEndpoints   = "AWS_ENDPOINT_URL"
)

// keyServiceHelp is part of the help of verbs that use a root key.
const keyServiceHelp = `

vault:MOUNT/KEY is a key of the transit engine of HashiCorp Vault or OpenBao, at VAULT_ADDR, with the
token in VAULT_TOKEN, VAULT_TOKEN_FILE or ~/.vault-token; VAULT_NAMESPACE and VAULT_CACERT work as in the
vault client. awskms:ARN is a symmetric key of AWS KMS, in the region of its ARN, with the credentials in
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or those of the profile AWS_PROFILE in
~/.aws/credentials; AWS_ENDPOINT_URL_KMS sets another address of the service.` + pkcs11Help

// environmentFiles are the environment variables that name files to read.
var environmentFiles = []string{envVaultTokenFile, envVaultCACert, envAWSCredentials, envPKCS11Module}

// vaultKey returns the root key vault:MOUNT/KEY.
func vaultKey(ctx context.Context, u kmsuri.URI) (*wrap.RootKey, error) {
	address := os.Getenv(envVaultAddr)
	if address == "" {
		return nil, rest.WithHint(fmt.Errorf("%s: %s is not set", u, envVaultAddr), "set it to the address of the server: https://vault.example.com:8200")
	}
	token, err := vaultToken(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(token)
	o := vault.Options{Address: address, Key: u.Name, Token: token, Namespace: os.Getenv(envVaultNamespace)}
	if name := os.Getenv(envVaultCACert); name != "" {
		if o.Client, err = trusting(ctx, name); err != nil {
			return nil, fmt.Errorf("%s: %w", envVaultCACert, err)
		}
	}
	c, err := vault.New(o)
	if err != nil {
		return nil, namedSetting(envVaultAddr, err)
	}
	return c.RootKey(), nil
}

// vaultToken returns the token. The caller wipes it.
func vaultToken(ctx context.Context) ([]byte, error) {
	if os.Getenv(envVaultToken) != "" {
		return credential(ctx, envVaultToken)
	}
	if name := os.Getenv(envVaultTokenFile); name != "" {
		return keys.ReadAPIKey(ctx, envVaultTokenFile, name)
	}
	if home, err := os.UserHomeDir(); err == nil { // vault login stores the token there
		token, err := keys.ReadAPIKey(ctx, "token", filepath.Join(home, ".vault-token"))
		if !errors.Is(err, os.ErrNotExist) {
			return token, err
		}
	}
	return nil, rest.WithHint(fmt.Errorf("no credentials: %s is not set", envVaultToken), "set it to a token, or to @FILE for a file that holds it, or log in with vault login")
}

// trusting returns a client that trusts only the certificates in a file.
func trusting(ctx context.Context, name string) (*http.Client, error) {
	text, err := stdio.ReadFile(ctx, name, keys.MaxSize)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, rest.WithHint(fmt.Errorf("%s: no PEM certificate in the file", name), "name the file with the certificate of the authority that signed the server's certificate")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: t}, nil
}

// awsKey returns the root key awskms:ARN.
func awsKey(ctx context.Context, u kmsuri.URI) (*wrap.RootKey, error) {
	who, err := awsCredentials(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(who.SecretAccessKey)
	defer clear(who.SessionToken)
	setting := envAWSEndpoint
	if os.Getenv(setting) == "" {
		setting = envAWSEndpoints
	}
	c, err := awskms.New(awskms.Options{Key: u.Name, Credentials: who, Endpoint: os.Getenv(setting)})
	if err != nil {
		return nil, namedSetting(setting, err)
	}
	return c.RootKey(), nil
}

// awsCredentials returns the credentials in the environment, or of a profile in AWS's shared credentials file. The
// caller wipes them.
func awsCredentials(ctx context.Context) (c awskms.Credentials, err error) {
	if c.AccessKeyID = os.Getenv(envAWSKeyID); c.AccessKeyID != "" && os.Getenv(envAWSProfile) == "" {
		if c.SecretAccessKey, err = credential(ctx, envAWSSecret); err != nil {
			return c, err
		}
		c.SessionToken = []byte(os.Getenv(envAWSSession))
		return c, nil
	}
	name := os.Getenv(envAWSCredentials)
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return c, err
		}
		name = filepath.Join(home, ".aws", "credentials")
	}
	text, err := stdio.ReadFile(ctx, name, keys.MaxSize)
	if errors.Is(err, os.ErrNotExist) {
		return c, rest.WithHint(fmt.Errorf("no credentials: %s is not set, and %s does not exist", envAWSKeyID, name), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or make the file with: aws configure")
	}
	if err != nil {
		return c, err
	}
	defer clear(text)
	profile := cmp.Or(os.Getenv(envAWSProfile), "default")
	if c = profileOf(text, profile); c.AccessKeyID == "" || len(c.SecretAccessKey) == 0 {
		return c, rest.WithHint(fmt.Errorf("%s: profile %.100q has no access key", name, profile), "AWS_PROFILE names a profile of the file; temporary credentials of sso and roles go into the environment: aws configure export-credentials --format env")
	}
	return c, nil
}

// profileOf parses the credentials of a profile in the text of a credentials file.
func profileOf(text []byte, profile string) (c awskms.Credentials) {
	in := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if head, ok := bytes.CutPrefix(line, []byte("[")); ok {
			head, _, _ = bytes.Cut(head, []byte("]"))
			in = strings.TrimSpace(string(head)) == profile
			continue
		}
		name, value, ok := bytes.Cut(line, []byte("="))
		if !in || !ok || line[0] == '#' || line[0] == ';' {
			continue
		}
		value = bytes.Clone(bytes.TrimSpace(value))
		switch strings.ToLower(string(bytes.TrimSpace(name))) {
		case "aws_access_key_id":
			c.AccessKeyID = string(value)
		case "aws_secret_access_key":
			c.SecretAccessKey = value
		case "aws_session_token":
			c.SessionToken = value
		}
	}
	return c
}
