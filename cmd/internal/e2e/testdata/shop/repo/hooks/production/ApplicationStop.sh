#!/bin/sh
[ -f run/pid ] || exit 0
pid=$(cat run/pid)
kill "$pid" 2>/dev/null || exit 0
while [ -e "/proc/$pid/exe" ]; do sleep 0.05; done
rm -f run/pid
