#!/bin/sh
. hooks/gate.sh
[ -f run/pid ] || exit 0
pid=$(cat run/pid)
kill "$pid" 2>/dev/null || exit 0
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -f run/pid
