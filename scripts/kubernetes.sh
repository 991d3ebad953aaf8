#!/bin/bash
# kubernetes.sh - run a command with a one-node Kubernetes cluster on this machine.
#
#   scripts/kubernetes.sh build               only build the programs, which takes half an hour or more
#   scripts/kubernetes.sh [COMMAND ARG...]    start the cluster, run the command, stop the cluster
#
# The default command is scripts/kubernetes-shards.sh, which runs the example of examples/kubernetes.
# The script builds the programs of Kubernetes from the Go module proxy into .cache/bin/. etcd,
# containerd, runc and the network plugins are Debian's: apt-get install --no-install-recommends
# etcd-server containerd runc containernetworking-plugins buildah. It needs root.
#
# The command gets kubectl and ctr in PATH, KUBECONFIG, CONTAINERD_ADDRESS, NODE (an address of this
# machine that pods can reach), and WORK (a folder that is removed with the cluster). Nothing listens on
# an external network. At the end the script restores the sysctls that the kubelet changed.
set -u
cd "$(dirname "$0")/.." || exit 1
version=v1.34.4
staging=${version/#v1/v0} # of k8s.io/api and the other modules of the same release
programs='kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl'
bin=$PWD/.cache/bin source=$PWD/.cache/kubernetes
sysctls=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
	kernel.keys.root_maxkeys kernel.keys.root_maxbytes net.ipv4.ip_forward)

die() { echo "kubernetes: $*" >&2; exit 1; }

# build: build the published module. Its replaced modules are folders of its repository, which the proxy
# has as separate modules. Each program is built completely or not at all.
build() {
	local p dir
	for p in $programs; do [ -x "$bin/$p" ] || break; p=; done
	[ -n "$p" ] || return 0
	command -v go >/dev/null || die 'Go is not installed'
	echo "kubernetes: building $version into .cache/bin/, which takes half an hour or more"
	mkdir -p "$bin" "$source" && cd "$source" || exit 1
	export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
	dir=$(cd /tmp && go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"Dir": "\(.*\)".*/\1/p')
	[ -d "$dir" ] || die "the Go module proxy does not have k8s.io/kubernetes@$version"
	sed -e 's|^module .*|module kubernetes|' -e "s|=> ./staging/src/\([^ ]*\)|=> \1 $staging|" "$dir/go.mod" >go.mod
	cat "$dir/go.sum" >go.sum
	go mod edit -require "k8s.io/kubernetes@$version"
	for p in $programs; do
		[ -x "$bin/$p" ] && continue
		nice -n 19 go build -trimpath -o "$bin/$p.part" -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" \
			"k8s.io/kubernetes/cmd/$p" 2>>"$source/build.log" || die "$p cannot be built: see .cache/kubernetes/build.log"
		mv "$bin/$p.part" "$bin/$p"
	done
	cd - >/dev/null || exit 1
	unset GOFLAGS GOWORK CGO_ENABLED
}

# start NAME PROGRAM ARG...: start a program in the background, with a log. stop_all stops it.
started=()
start() {
	local name=$1; shift
	"$@" >"$WORK/$name.log" 2>&1 </dev/null &
	started+=("$!:$name")
}

# wait_for WHAT COMMAND...: wait until the command succeeds, for at most two minutes.
wait_for() {
	local what=$1; shift
	for _ in $(seq 240); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done
	tail -n 5 "$WORK"/*.log >&2
	die "timed out waiting for $what"
}

# network: make a bridge for the pods of the network plugins. The services listen on it.
network() {
	{ ip link add "$bridge" type bridge && ip addr add "$NODE/24" dev "$bridge" && ip link set "$bridge" up; } || die 'cannot create a bridge'
	mkdir "$WORK/cni" && cat >"$WORK/cni/10-bridge.conflist" <<-EOF_
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "$bridge", "isGateway": false,
		 "ipam": {"type": "host-local", "dataDir": "$WORK/ipam", "ranges": [[{"subnet": "${NODE%.*}.0/24", "gateway": "$NODE"}]]}}]}
	EOF_
}

# runtime: start containerd with separate folders, and import the image that holds a pod's namespaces.
runtime() {
	cat >"$WORK/containerd.toml" <<-EOF_
		version = 2
		root = "$WORK/containerd"
		state = "$WORK/containerd-state"
		disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
			"io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
		[grpc]
		address = "$CONTAINERD_ADDRESS"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "localhost/pause:1"
		restrict_oom_score_adj = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "/usr/lib/cni"
		conf_dir = "$WORK/cni"
	EOF_
	start containerd containerd --config "$WORK/containerd.toml"
	wait_for containerd ctr version
	mkdir "$WORK/pause" && cat >"$WORK/pause/main.go" <<-EOF_ || exit 1
		package main

		import (
			"os"
			"os/signal"
			"syscall"
		)

		func main() {
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
			<-c
		}
	EOF_
	echo 'FROM scratch
COPY pause /
ENTRYPOINT ["/pause"]' >"$WORK/pause/Containerfile"
	CGO_ENABLED=0 go build -o "$WORK/pause/pause" "$WORK/pause/main.go" || die 'cannot build the pause program'
	"$here/scripts/kubernetes-image.sh" "$WORK/pause" localhost/pause:1 || die 'cannot import the pause image'
}

# control: start etcd, the API server and the controllers on the loopback interface.
control() {
	local token; token=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	(umask 077 && echo "$token,admin,admin,system:masters" >"$WORK/tokens.csv"
	cat >"$KUBECONFIG" <<-EOF_
		{"apiVersion": "v1", "kind": "Config", "current-context": "here",
		 "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:16443", "insecure-skip-tls-verify": true}}],
		 "users": [{"name": "admin", "user": {"token": "$token"}}],
		 "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}]}
	EOF_
	openssl genrsa -out "$WORK/accounts.key" 2048 2>/dev/null) || die 'cannot generate keys'
	start etcd etcd --data-dir "$WORK/etcd" --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
		--listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster default=http://127.0.0.1:12380
	start apiserver kube-apiserver --etcd-servers http://127.0.0.1:12379 --bind-address 127.0.0.1 --secure-port 16443 \
		--advertise-address "$NODE" --endpoint-reconciler-type none --cert-dir "$WORK/certs" --token-auth-file "$WORK/tokens.csv" \
		--authorization-mode RBAC --kubelet-preferred-address-types InternalIP --service-cluster-ip-range 10.97.0.0/24 --service-account-issuer https://kubernetes.default.svc \
		--service-account-key-file "$WORK/accounts.key" --service-account-signing-key-file "$WORK/accounts.key"
	wait_for 'the API server' kubectl get --raw /readyz
	start controllers kube-controller-manager --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --leader-elect=false \
		--service-account-private-key-file "$WORK/accounts.key" --cert-dir "$WORK/certs-controllers"
	start scheduler kube-scheduler --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --leader-elect=false --cert-dir "$WORK/certs-scheduler"
	wait_for 'the default service account' kubectl get serviceaccount default
}

# node: start a kubelet.
node() {
	cat >"$WORK/kubelet.yaml" <<-EOF_
		{"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": "$NODE", "port": 20250, "healthzPort": 0,
		 "containerRuntimeEndpoint": "unix://$CONTAINERD_ADDRESS", "cgroupDriver": "cgroupfs", "failSwapOn": false, "makeIPTablesUtilChains": false,
		 "podLogsDir": "$WORK/pods", "resolvConf": "/dev/null", "clusterDNS": ["$NODE"], "volumePluginDir": "$WORK/volumeplugins", "enforceNodeAllocatable": [],
		 "imageGCHighThresholdPercent": 100, "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		 "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}}, "authorization": {"mode": "AlwaysAllow"}}
	EOF_
	start kubelet kubelet --kubeconfig "$KUBECONFIG" --config "$WORK/kubelet.yaml" --root-dir "$WORK/kubelet" --cert-dir "$WORK/certs-kubelet" \
		--hostname-override node --node-ip "$NODE"
	wait_for 'the node' kubectl wait --for=condition=Ready node/node --timeout=5s
}

# stop_all: stop the pods first, so that the kubelet unmounts their volumes. Then stop the programs in
# reverse order, and remove what they left.
stop_all() {
	local i pid path
	trap '' INT TERM
	kubectl delete jobs,pods --all --timeout=60s >/dev/null 2>&1
	kubectl wait --for=delete pods --all --timeout=60s >/dev/null 2>&1
	for path in $(ctr -n k8s.io tasks list -q 2>/dev/null); do ctr -n k8s.io tasks delete -f "$path" >/dev/null 2>&1; done
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		pid=${started[i]%%:*}
		kill "$pid" 2>/dev/null
		for _ in $(seq 40); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
		kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	awk -v d="$WORK/" 'index($2, d) == 1 {print $2}' /proc/mounts | sort -r | while read -r path; do umount "$path"; done
	find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/k8s.io*' \) -exec rmdir {} + 2>/dev/null
	find /var/log/containers -lname "$WORK/*" -delete 2>/dev/null
	rm -f /var/lib/kubelet/device-plugins/kubelet.sock
	rmdir /var/log/containers /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null # if they are empty
	ip link del "$bridge"
	sysctl -q -p "$WORK/sysctls"
	sysctl "${sysctls[@]}" 2>/dev/null | diff "$WORK/sysctls" - || echo 'kubernetes: these sysctls were not restored' >&2
	if [ -n "${KEEP:-}" ]; then echo "kubernetes: logs are in $WORK"; else rm -rf "$WORK"; fi
}

build
[ "${1:-}" = build ] && exit 0
[ "$(id -u)" = 0 ] || die 'a kubelet and its pods need root: run this script as root'
for p in etcd containerd runc ctr buildah openssl /usr/lib/cni/bridge; do command -v "$p" >/dev/null || die "$p is not installed"; done
here=$PWD bridge=luksimg0
export PATH=$bin:$PATH NODE=10.97.1.1
WORK=$(mktemp -d -t luksimg-kubernetes.XXXXXX) || exit 1
export WORK KUBECONFIG=$WORK/kubeconfig CONTAINERD_ADDRESS=$WORK/containerd.sock
[ "$#" -gt 0 ] || set -- scripts/kubernetes-shards.sh
sysctl "${sysctls[@]}" >"$WORK/sysctls" 2>/dev/null
trap stop_all EXIT
trap 'exit 130' INT TERM
network
runtime
control
node
"$@"
