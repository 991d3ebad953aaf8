#!/bin/bash
# kubernetes-image.sh - build an image from a folder with a Containerfile, and import it into the
# containerd of scripts/kubernetes.sh.
#
#   scripts/kubernetes-image.sh FOLDER NAME
set -eu
: "${WORK:?scripts/kubernetes.sh sets it}" "${CONTAINERD_ADDRESS:?}"
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
store=(buildah --root "$WORK/buildah" --runroot "$WORK/buildah-run")
"${store[@]}" build -q -f "$1/Containerfile" -t "$2" "$1" >/dev/null
"${store[@]}" push -q "$2" "docker-archive:$WORK/image.tar:$2"
ctr -n k8s.io images import "$WORK/image.tar" >/dev/null
rm "$WORK/image.tar"
