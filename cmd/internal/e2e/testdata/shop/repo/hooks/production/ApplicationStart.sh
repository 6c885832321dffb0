#!/bin/sh
"$WEBAPP" >>run/log 2>&1 &
echo $! >run/pid
