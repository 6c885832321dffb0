#!/usr/bin/env bash
# Installs what the tests and lint use: Debian packages, and Go programs at pinned versions.
set -euo pipefail

packages=(
  gcc libc6-dev # the race detector, and the peer of brine-bench
  libzmq3-dev   # libzmq at the same work as brine-bench
  git           # the source
  haproxy nginx wrk # a real load balancer under load
  iproute2      # a network
  iptables      # that goes silent
  python3-zmq   # libzmq's own CURVE
  acl zip       # bundles of CodeDeploy, and what they ask for
  rsync
  systemd       # systemd-analyze verify
)

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  sudo=(sudo)
fi

missing=()
for p in "${packages[@]}"; do
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)" != installed ]; then
    missing+=("$p")
  fi
done
if [ "${#missing[@]}" -gt 0 ]; then
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

# program NAME MODULE PACKAGE VERSION installs a Go program unless that very version is there.
program() {
  local path
  path=$(command -v "$1" || true)
  if [ -n "$path" ] && go version -m "$path" 2>/dev/null | grep -qP "^\tmod\t\Q$2\E\t\Q$4\E(\t|\$)"; then
    return
  fi
  echo "go install $3@$4"
  CGO_ENABLED=0 go install "$3@$4"
}

program golangci-lint github.com/golangci/golangci-lint/v2 github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0
program gofumpt mvdan.cc/gofumpt mvdan.cc/gofumpt v0.12.0
program versitygw github.com/versity/versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0
