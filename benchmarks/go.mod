module github.com/luksimg/luksimg/benchmarks

go 1.26

require (
	github.com/containers/luksy v0.0.0-20251208191447-ca096313c38f
	github.com/luksimg/luksimg v0.0.0
	golang.org/x/crypto v0.55.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/aead/serpent v0.0.0-20160714141033-fba169763ea6 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.20.3
	github.com/lima-vm/go-qcow2reader v0.7.1
)

replace github.com/luksimg/luksimg => ../
