// Package data holds the values that templates, states, pillar and execution functions pass to each other: those of
// YAML, with maps that keep their order, as Salt's do.
//
// A value is one of nil, bool, int64, *big.Int (only beyond int64), float64, string, []any, *Map. From makes one of what
// encoding/json and other packages give.
package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"reflect"
	"slices"
)

// Map is a mapping that keeps the order in which its keys came. Keys are scalars: nil, bool, int64, float64, string. The
// zero Map is empty and ready for use; a nil *Map can be read. It is not safe for concurrent writes.
type Map struct {
	keys   []any
	values map[any]any
}

// NewMap makes a Map of keys and values that alternate.
func NewMap(pairs ...any) *Map {
	m := &Map{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Set(pairs[i], pairs[i+1])
	}
	return m
}

// Len is the number of keys.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.keys)
}

// Get returns the value of key; ok is false when there is none.
func (m *Map) Get(key any) (value any, ok bool) {
	if m == nil {
		return nil, false
	}
	value, ok = m.values[key]
	return value, ok
}

// Set gives key a value. A key that is there already keeps its place.
func (m *Map) Set(key, value any) {
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	if m.values == nil {
		m.values = map[any]any{}
	}
	m.values[key] = value
}

// Delete removes key.
func (m *Map) Delete(key any) {
	if m == nil {
		return
	}
	if _, ok := m.values[key]; ok {
		delete(m.values, key)
		m.keys = slices.DeleteFunc(m.keys, func(k any) bool { return k == key })
	}
}

// Keys returns the keys in their order. The slice is the caller's.
func (m *Map) Keys() []any {
	if m == nil {
		return nil
	}
	return slices.Clone(m.keys)
}

// All gives keys and values in their order.
func (m *Map) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		if m == nil {
			return
		}
		for _, k := range m.keys {
			if !yield(k, m.values[k]) {
				return
			}
		}
	}
}

// MarshalJSON writes the keys in their order; keys that are no text are written as text.
func (m *Map) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, k := range m.Keys() {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(keyText(k))
		if err != nil {
			return nil, fmt.Errorf("encode key: %w", err)
		}
		value, err := json.Marshal(m.values[k])
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", key, err)
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object and keeps the order of its keys.
func (m *Map) UnmarshalJSON(text []byte) error {
	value, err := FromJSON(text)
	if err != nil {
		return err
	}
	got, ok := value.(*Map)
	if !ok {
		return fmt.Errorf("decode mapping: it is %T", value)
	}
	*m = *got
	return nil
}

func keyText(key any) string {
	switch k := key.(type) {
	case string:
		return k
	case nil:
		return "null"
	case bool:
		if k {
			return "true"
		}
		return "false"
	}
	return fmt.Sprint(key)
}

// FromJSON decodes one JSON document, keeps the order of keys, and tells integers from floats.
func FromJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	value, err := decode(dec)
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	if dec.More() {
		return nil, fmt.Errorf("decode JSON: more than one document, at byte %d", dec.InputOffset())
	}
	return value, nil
}

func decode(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		return number(t)
	case json.Delim:
		if t == '[' {
			return decodeList(dec)
		}
		return decodeMap(dec)
	}
	return token, nil
}

func decodeList(dec *json.Decoder) (any, error) {
	list := []any{}
	for dec.More() {
		value, err := decode(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := dec.Token()
	return list, err
}

func decodeMap(dec *json.Decoder) (any, error) {
	m := &Map{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := decode(dec)
		if err != nil {
			return nil, err
		}
		m.Set(key, value)
	}
	_, err := dec.Token()
	return m, err
}

func number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	if big, ok := new(big.Int).SetString(n.String(), 10); ok {
		return big, nil
	}
	return n.Float64()
}

// From makes a value of what Go code has: every integer becomes an int64, every slice a []any, every map with string keys
// a *Map in the order of its sorted keys. What it does not know becomes text.
func From(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int:
		return v
	case *Map:
		out := &Map{}
		for k, value := range v.All() {
			out.Set(From(k), From(value))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = From(v[i])
		}
		return out
	}
	return reflected(reflect.ValueOf(v))
}

func reflected(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if u := v.Uint(); u > 1<<63-1 {
			return new(big.Int).SetUint64(u)
		}
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.String:
		return v.String()
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = From(v.Index(i).Interface())
		}
		return out
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) })
		out := &Map{}
		for _, k := range keys {
			out.Set(From(k.Interface()), From(v.MapIndex(k).Interface()))
		}
		return out
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return From(v.Elem().Interface())
	}
	return fmt.Sprint(v.Interface())
}

// Plain makes of a value what encoding/json gives: maps become map[string]any.
func Plain(v any) any {
	switch v := v.(type) {
	case *Map:
		out := make(map[string]any, v.Len())
		for k, value := range v.All() {
			out[keyText(k)] = Plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Plain(v[i])
		}
		return out
	}
	return v
}

// Equal reports whether two values are the same, whatever the order of their keys. As in Python, 1 equals 1.0.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case *Map:
		b, ok := b.(*Map)
		if !ok || a.Len() != b.Len() {
			return false
		}
		for k, v := range a.All() {
			if other, ok := b.Get(k); !ok || !Equal(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	case int64:
		if f, ok := b.(float64); ok {
			return float64(a) == f
		}
	case float64:
		if i, ok := b.(int64); ok {
			return a == float64(i)
		}
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b) && a == b
}
