package awstest

import (
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Alarm is one of CloudWatch.
type Alarm struct {
	State     string // OK, ALARM or INSUFFICIENT_DATA
	Reason    string
	Composite bool
}

// SetAlarm makes or changes an alarm.
func (a *AWS) SetAlarm(name string, alarm Alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alarms[name] = alarm
}

// serveAlarms speaks Smithy's RPC v2 over CBOR, as CloudWatch does.
func (a *AWS) serveAlarms(w http.ResponseWriter, r *http.Request, operation string) {
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = signed(r, "monitoring")
	}
	var answer cbor.Map
	if err == nil {
		answer, err = a.describeAlarms(operation, body)
	}
	if err != nil {
		f, ok := err.(failure) //nolint:errorlint // it is never wrapped here
		if !ok {
			f = failure{"InternalFailure", err.Error()}
		}
		w.WriteHeader(f.status())
		answer = cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + f.code), "message": cbor.String(f.message)}
	}
	_, _ = w.Write(cbor.Encode(answer))
}

func (a *AWS) describeAlarms(operation string, body []byte) (cbor.Map, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.admit(operation); err != nil {
		return nil, err
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, failure{"SerializationException", err.Error()}
	}
	in, ok := value.(cbor.Map)
	if !ok || operation != "DescribeAlarms" {
		return nil, failure{"InvalidAction", "the fake knows no " + operation}
	}
	names, _ := in["AlarmNames"].(cbor.List)
	types, _ := in["AlarmTypes"].(cbor.List)
	metric, composite := cbor.List{}, cbor.List{}
	for _, name := range slices.Sorted(maps.Keys(a.alarms)) {
		if len(names) > 0 && !slices.Contains(names, cbor.Value(cbor.String(name))) {
			continue
		}
		alarm := a.alarms[name]
		entry := cbor.Map{"AlarmName": cbor.String(name), "StateValue": cbor.String(alarm.State), "StateReason": cbor.String(alarm.Reason)}
		if !alarm.Composite {
			metric = append(metric, entry)
		} else if slices.Contains(types, cbor.Value(cbor.String("CompositeAlarm"))) { // as the real one: only when asked for
			composite = append(composite, entry)
		}
	}
	return cbor.Map{"MetricAlarms": metric, "CompositeAlarms": composite}, nil
}
