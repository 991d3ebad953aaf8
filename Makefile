# make test   all checks and tests, after their set-up
# make demo   encrypt a disk, open it with the installed programs, and bring it to a server in the sandbox
# make bench  benchmarks
# make docs   manual pages from the command
# make site   bin/site, a static site of the README and docs, with search
# make fuzz   every fuzz target for a while: FUZZTIME=30s
# make build  bin/luksimg and bin/luksimg-sandbox
# make pkcs11 bin/luksimg-pkcs11, for keys on PKCS#11 tokens, and its tests
# make release-snapshot all files of a release in dist/

GO       ?= go
FUZZTIME ?= 30s

.PHONY: build test setup check lint generated unit race cross arm64 platforms kernels interop pkcs11 cloud engines plugin packer docs site site-test demo bench fuzz release-snapshot release-test clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/luksimg ./cmd/luksimg-sandbox

# Run the stages one after the other. scripts/stages.sh prints a line at the start of each, and one a
# minute.
test:
	@+MAKE="$(MAKE)" scripts/stages.sh setup check generated cross race unit arm64 platforms kernels interop pkcs11 cloud engines plugin site-test

# Install the programs that the interop tests run, if apt and root are available.
setup:
	@scripts/setup.sh
	@scripts/versitygw.sh || echo "skipped: tests against a real S3 server need it"
	@scripts/keyservices.sh || echo "skipped: tests against Vault and AWS KMS need them"

check: lint
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) test ./docs ./internal/prose
	$(GO) mod verify >/dev/null
	@scripts/check-docs.sh
	@scripts/check-fuzz.sh

# golangci-lint includes staticcheck. tools/go.mod and tools/release/go.mod pin the versions.
lint:
	@if $(GO) tool -modfile=tools/go.mod -n golangci-lint >/dev/null; then \
		$(GO) tool -modfile=tools/go.mod golangci-lint run ./...; \
	else echo "skipped: golangci-lint cannot be built"; test "$$CI" != true; fi
	@if $(GO) tool -modfile=tools/release/go.mod -n actionlint >/dev/null; then \
		$(GO) tool -modfile=tools/release/go.mod actionlint; \
	else echo "skipped: actionlint cannot be built"; test "$$CI" != true; fi

# The assembly in a package must equal the output of its generator.
generated:
	cd xts/_asm && $(GO) vet . && $(GO) test .
	cd internal/inflate/_asm && $(GO) vet . && $(GO) test .
	cd internal/lzma/_asm && $(GO) vet . && $(GO) test .
	cd internal/zstd/_asm && $(GO) vet . && $(GO) test .

# Code without cgo must build on every platform.
cross:
	@scripts/cross.sh linux/arm64 linux/386 darwin/arm64 windows/amd64

# These packages share data between goroutines. The race detector needs cgo and a C compiler. Tests with
# other programs run without it, in unit.
RACE = . ./image ./vhd ./vhdx ./vmdk ./qcow ./luks ./luks/ciphers ./xts ./internal/dmcrypt ./internal/parallel \
	./nbd ./compressed ./internal/zstd ./internal/output ./internal/term ./ibm/iam ./wrap/... ./ibm/sandbox/...
# These tests of malformed files and crashes use one goroutine, and are slow with the detector.
NORACE = Crash$$|^Test(Refuse|Truncated|CheckClean|Verdicts|ReplaceFull|Defaults|CreateErrors|SevenZip|QEMUAgrees|Bombs|Created|CreateHuge|Unpack(Matrix|Corrupt))$$
# The detector makes these tests take minutes, and finds nothing in them: they measure memory, or use one goroutine.
SLOWRACE = PowerLoss$$|^Test(LayoutMemory|CreateMemory|LayoutTables|CreateGolden|EditFailures)$$
race:
	@if command -v $${CC:-cc} >/dev/null; then \
		$(GO) test -timeout 25m -race -short -skip '$(NORACE)|$(SLOWRACE)' $(RACE); \
	else echo "skipped: tests with the race detector need a C compiler"; fi

unit:
	$(GO) test -timeout 30m $$($(GO) list ./... | grep -v /interop)
	$(GO) test -tags purego ./xts ./internal/zstd
	$(GO) test -tags purego -skip '$(NORACE)' ./luks

# These packages have code for arm64, or depend on such packages.
arm64:
	@if command -v qemu-aarch64 >/dev/null; then \
		CGO_ENABLED=0 GOARCH=arm64 $(GO) test -short -exec qemu-aarch64 ./xts ./image ./vhd ./internal/af \
			./internal/inflate ./internal/lzma ./internal/zstd ./internal/parallel ./internal/dmcrypt && \
		CGO_ENABLED=0 GOARCH=arm64 $(GO) test -exec qemu-aarch64 -run Golden ./luks ./qcow ./vhdx ./vmdk; \
	else echo "skipped: tests on arm64 need qemu-aarch64 (scripts/setup.sh installs it)"; test "$$CI" != true; fi

# These are 32-bit and big-endian architectures.
FORMATS = ./luks ./qcow ./vhd ./vhdx ./vmdk ./vdi
platforms:
	@if CGO_ENABLED=0 GOARCH=386 $(GO) test -run "^$$" ./internal/af >/dev/null; then \
		CGO_ENABLED=0 GOARCH=386 $(GO) test -short -skip '$(NORACE)' $(FORMATS) ./xts ./image ./contents/internal/... ./internal/disk && \
		CGO_ENABLED=0 GOARCH=386 $(GO) test -run 'Golden|Seal|Convention' ./contents ./wrap; \
	else echo "skipped: tests on 386 need a CPU and a kernel that run it"; test "$$CI" != true; fi
	@for arch in arm s390x; do if command -v qemu-$$arch >/dev/null; then \
		CGO_ENABLED=0 GOARCH=$$arch $(GO) test -exec qemu-$$arch -run Golden $(FORMATS) ./wrap && \
		CGO_ENABLED=0 GOARCH=$$arch $(GO) test -short -exec qemu-$$arch ./image ./internal/disk || exit 1; \
	else echo "skipped: tests on $$arch need qemu-$$arch (scripts/setup.sh installs it)"; test "$$CI" != true || exit 1; fi; done

# Test the module of the benchmarks, with OpenSSL's kernels if its headers are installed.
kernels:
	@if echo '#include <openssl/evp.h>' | $${CC:-cc} -E - >/dev/null 2>&1; then tags=openssl; \
	else echo "skipped: comparing with OpenSSL needs its headers (scripts/setup.sh installs them)"; test "$$CI" != true; fi; \
	cd benchmarks && $(GO) vet -tags "$$tags" ./... && $(GO) test -tags "$$tags" ./... && \
	cd upload && $(GO) vet ./...

interop:
	$(GO) test -timeout 45m ./internal/interop
	$(GO) test ./interop/slurm

# luksimg-pkcs11 loads PKCS#11 modules. It is a separate Go module, and must build on the platforms of
# luksimg.
pkcs11: export CGO_ENABLED = 0
pkcs11:
	@cd cmd/luksimg-pkcs11 && if $(GO) list -deps ./... >/dev/null 2>&1; then $(GO) vet ./... && $(GO) test ./... && \
		for target in linux/arm64 linux/386 darwin/arm64 windows/amd64 openbsd/amd64; do \
			echo "vet $$target"; GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) vet ./... || exit 1; done && \
		$(GO) build -trimpath -o ../../bin/luksimg-pkcs11 .; \
	else echo "skipped: luksimg-pkcs11 needs a Go module that cannot be downloaded"; test "$$CI" != true; fi

# Test the modules in some folders, which have dependencies of their own.
define foreign
	@for dir in $(1); do if (cd $$dir && $(GO) list -deps -test ./... >/dev/null 2>&1); then \
		(cd $$dir && $(GO) vet ./... && $(GO) test ./...) || exit 1; \
	else echo "skipped: $$dir needs $(2), which cannot be downloaded"; test "$$CI" != true || exit 1; fi; done
endef

# Test other clients with the sandbox, and luksimg's clients with other servers.
cloud:
	$(call foreign,interop/cloud interop/cloud/keyprotect,clients and servers of others)

# Check the examples for Kubernetes and for batch services against the types of their APIs.
engines:
	$(call foreign,interop/engines,the types of APIs)

# Test the Packer plugin without Packer, over the RPC of the SDK, as Packer does.
plugin:
	@if (cd packer && $(GO) list -deps -test ./... >/dev/null 2>&1); then \
		cd packer && $(GO) vet ./... && $(GO) test -skip '^TestPacker$$' ./...; \
	else echo "skipped: the plugin of Packer needs its SDK, which cannot be downloaded"; test "$$CI" != true; fi

# Test the plugin in Packer, which takes minutes to build.
packer: plugin
	@scripts/packer.sh || echo "skipped: tests with Packer need it"
	cd packer && $(GO) test -run '^TestPacker$$' .

# Write the manual pages, and the same as Markdown. A test compares them with the command.
docs:
	$(GO) run ./cmd/luksimg man docs/man
	$(GO) run ./cmd/luksimg man --format markdown docs/cli

# Make the static site of the README and docs. It needs no server. Its tests check the layout in a
# browser, for a phone and a desktop.
site:
	cd tools/site && $(GO) run . -root ../.. ../../bin/site

site-test:
	cd tools/site && $(GO) vet ./... && $(GO) test ./...

# The demos open an encrypted disk with the installed programs, and bring it to a server in the sandbox
# on this machine.
demo:
	@scripts/demo.sh
	@scripts/demo-cloud.sh

# Compare the kernels of AES-XTS with others in turns, whole jobs with other programs, and uploads with
# minio-go. Then run the benchmarks of other hot paths.
bench:
	benchmarks/run.sh
	benchmarks/run-job.sh
	benchmarks/run-upload.sh
	benchmarks/run-serve.sh
	$(GO) test -run '^$$' -bench . -benchmem ./vhd

fuzz:
	@GO="$(GO)" scripts/fuzz.sh $(FUZZTIME)

# Make all files of a release of the current commit in dist/, and test them, which takes many minutes.
release-snapshot:
	scripts/release/build.sh --snapshot

release-test:
	scripts/release-test.sh

clean:
	rm -rf bin dist
