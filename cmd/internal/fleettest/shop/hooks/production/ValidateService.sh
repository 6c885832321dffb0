#!/bin/sh
. hooks/gate.sh
exec "$WEBAPP" check
