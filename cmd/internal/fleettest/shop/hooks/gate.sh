# Every hook begins here: the first one that comes to a gate that a test has closed waits until it is opened.
gate="$GATES/${GATE:-$BRINE_MINION-$BRINE_EVENT}"
if mv "$gate" "$gate.reached" 2>/dev/null; then
  echo "waits at its gate"
  while [ -e "$gate.reached" ]; do sleep 0.05; done
fi
