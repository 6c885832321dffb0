# Every hook begins here: it waits for as long as a test keeps its gate closed.
read -r version <version
gate="$GATES/${GATE:-$BRINE_MINION-$BRINE_EVENT-$version}"
while [ -e "$gate" ]; do
  : >"$gate.reached"
  sleep 0.05
done
