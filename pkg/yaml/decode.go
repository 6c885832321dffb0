package yaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// NodeDecoder is a type that decodes itself from a Node. Its error should be an *Error or Errors.
type NodeDecoder interface {
	DecodeNode(n *Node) error
}

// Decode reads one document strictly into the value that out points to. Keys that the file does not have leave out
// unchanged, so defaults go in first; so do keys without a value. The error, of type Errors, tells all that is wrong.
//
// Structs are decoded by their yaml tags; a field without one takes its name in lower case, "-" takes none, and embedded
// structs tagged ",inline" lend their keys. A type with UnmarshalText gets a scalar's text as written, whatever YAML sees
// in it; text may be written as a number. A *Node keeps what is there. An any gets strings, bools, ints, floats,
// []any and map[string]any.
func Decode(file string, data []byte, out any) error {
	n, err := Parse(file, data)
	if err != nil {
		return err
	}
	return n.Decode(out)
}

// Decode decodes n as the function Decode does. It makes a Node the Section of a plug-in.
func (n *Node) Decode(out any) error {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode yaml: %T is no pointer", out)
	}
	var d decoder
	if n.Kind() != Null {
		d.value(n, v.Elem())
	}
	return Join(d.errs...)
}

type decoder struct{ errs []error }

func (d *decoder) fail(n *Node, hint, format string, args ...any) {
	d.errs = append(d.errs, n.complain(hint, format, args...))
}

var (
	nodeType     = reflect.TypeFor[*Node]()
	durationType = reflect.TypeFor[time.Duration]()
)

func (d *decoder) value(n *Node, v reflect.Value) {
	if n.kind == Null && v.Type() != nodeType || len(d.errs) >= maxErrors {
		return
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if d.custom(n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem())
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.sequence(n, v)
	case reflect.Interface:
		v.Set(reflect.ValueOf(n.plain()))
	default:
		d.scalar(n, v)
	}
}

// custom lets the type decode itself if it can.
func (d *decoder) custom(n *Node, v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch u := v.Addr().Interface().(type) {
	case NodeDecoder:
		if err := u.DecodeNode(n); err != nil {
			d.errs = append(d.errs, n.positioned(err))
		}
	case encoding.TextUnmarshaler:
		if !d.want(n, Scalar) {
			return true
		}
		if err := u.UnmarshalText([]byte(n.Text())); err != nil {
			d.fail(n, "", "%s", err)
		}
	default:
		return false
	}
	return true
}

// positioned gives an error of somebody else the place of n.
func (n *Node) positioned(err error) error {
	switch err.(type) { //nolint:errorlint // a wrapped complaint would lose the text around it
	case *Error, Errors:
		return err
	default:
		return n.Errorf("%s", err)
	}
}

func (d *decoder) want(n *Node, k Kind) bool {
	if n.kind != k {
		d.fail(n, "", "expected %s, found %s", k, n.kind)
	}
	return n.kind == k
}

func (d *decoder) structure(n *Node, v reflect.Value) {
	if !d.want(n, Mapping) {
		return
	}
	fields, names := map[string]reflect.Value{}, []string{}
	collect(v, func(name string, field reflect.Value) {
		fields[name] = field
		names = append(names, name)
	})
	for _, p := range n.pairs {
		if len(d.errs) >= maxErrors {
			return
		}
		field, ok := fields[p.Key.raw.Value]
		if !ok {
			d.fail(p.Key, Suggest(p.Key.raw.Value, names), "unknown key %q", p.Key.raw.Value)
			continue
		}
		d.value(p.Value, field)
	}
}

// collect calls add for each field that a key can set.
func collect(v reflect.Value, add func(name string, field reflect.Value)) {
	for f, field := range v.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case options == "inline":
			collect(field, add)
		case name == "":
			add(strings.ToLower(f.Name), field)
		default:
			add(name, field)
		}
	}
}

func (d *decoder) mapping(n *Node, v reflect.Value) {
	if !d.want(n, Mapping) {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.pairs)))
	}
	for _, p := range n.pairs {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if key.Kind() == reflect.String && p.Key.kind == Null { // a key such as null or ~ is text like any other
			key.SetString(p.Key.raw.Value)
		} else {
			d.value(p.Key, key)
		}
		d.value(p.Value, value)
		v.SetMapIndex(key, value)
	}
}

// sequence replaces what is in v: a list in a file is not added to a default.
func (d *decoder) sequence(n *Node, v reflect.Value) {
	if !d.want(n, Sequence) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.value(item, v.Index(i))
	}
}

func (d *decoder) scalar(n *Node, v reflect.Value) {
	if !d.want(n, Scalar) {
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(n.raw.Value)
		return
	}
	if v.Type() == durationType {
		t, err := time.ParseDuration(n.raw.Value)
		if err != nil {
			d.fail(n, "", "%q is not a duration such as 90s, 10m or 1h30m", n.raw.Value)
		}
		v.SetInt(int64(t))
		return
	}
	what := "a number that fits"
	switch v.Kind() {
	case reflect.Bool:
		what = "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		what = "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		what = "a whole number from 0 on"
	case reflect.Float32, reflect.Float64:
	default:
		d.fail(n, "", "a %s cannot be read from a file", v.Type())
		return
	}
	if n.Quoted() || n.raw.Decode(v.Addr().Interface()) != nil {
		d.fail(n, "", "expected %s, found %q", what, n.raw.Value)
	}
}

// plain gives n as an any.
func (n *Node) plain() any {
	switch n.kind {
	case Sequence:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case Mapping:
		m := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			m[p.Key.raw.Value] = p.Value.plain()
		}
		return m
	case Scalar:
		return n.plainScalar()
	default:
		return nil
	}
}

// plainScalar leaves dates and numbers beyond float64 as they are written.
func (n *Node) plainScalar() any {
	var out any
	switch n.raw.ShortTag() {
	case "!!int", "!!float", "!!bool":
		if n.raw.Decode(&out) == nil {
			return out
		}
	}
	return n.raw.Value
}
