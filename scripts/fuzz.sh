#!/usr/bin/env bash
# Fuzzes each target of the tree for a while, one after the other. What it finds stays in testdata/fuzz of the package.
set -euo pipefail

time=${1:-1m}
grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u | while read -r dir; do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2); do
    echo "== $dir $target"
    # Go spends a minute on making one interesting input smaller, and tries nothing else meanwhile: ten tries are enough.
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir"
  done
done
