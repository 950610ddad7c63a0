#!/usr/bin/env bash
# Compare proto/ with the last release (the newest v* tag), or else with the previous commit that has protos.
set -euo pipefail
buf=$1
base=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true)
if [ -z "$base" ] || ! git cat-file -e "$base:proto/aigc/v1/catalog_service.proto" 2>/dev/null; then
  echo "buf breaking: no earlier protos to compare with"
  exit 0
fi
"$buf" breaking --against ".git#ref=$(git rev-parse "$base^{commit}")"
