#!/bin/sh
# Starts the service in the background. Its output goes to a file that outlives the release.
./shop >>run/log 2>&1 &
echo $! >run/pid
echo "started shop, process $!"
