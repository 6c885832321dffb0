package jinja

import (
	"maps"
	"math"
	"math/big"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// Filters are Jinja's own. The map is the caller's.
func Filters() map[string]Builtin {
	all := map[string]Builtin{}
	maps.Copy(all, textFilters())
	maps.Copy(all, sequenceFilters())
	maps.Copy(all, choosingFilters())
	maps.Copy(all, numberFilters())
	return all
}

// filter makes a Builtin whose parameters are words of one text.
func filter(params string, run func(c *Call, b py.Bound) any) Builtin {
	return Builtin{strings.Fields(params), run}
}

func numberFilters() map[string]Builtin {
	return map[string]Builtin{
		"abs": filter("x", func(_ *Call, b py.Bound) any {
			switch n := b[0].(type) {
			case float64:
				return math.Abs(n)
			case *big.Int:
				return py.Norm(new(big.Int).Abs(n))
			}
			if n := py.Plus(b[0]); n.(int64) < 0 {
				return py.Negate(n)
			}
			return py.Plus(b[0])
		}),
		"int":            filter("value default? base?", toInt),
		"float":          filter("value default?", toFloat),
		"round":          filter("value precision? method?", round),
		"filesizeformat": filter("value binary?", fileSize),
	}
}

func toInt(c *Call, b py.Bound) any {
	otherwise := b.Or(1, int64(0))
	switch v := b[0].(type) {
	case bool:
		return py.Plus(v)
	case int64, *big.Int:
		return v
	case float64:
		if math.IsInf(v, 0) {
			py.Raise("OverflowError", "cannot convert float infinity to integer")
		}
		if math.IsNaN(v) {
			return otherwise
		}
		n, _ := big.NewFloat(math.Trunc(v)).Int(nil)
		return py.Norm(n)
	case *py.Undefined:
		v.Raise()
		return otherwise
	}
	s, ok := py.Text(b[0])
	if !ok {
		if bytes, isBytes := b[0].(py.Bytes); isBytes {
			s, ok = string(bytes), true
		}
	}
	if !ok {
		return otherwise
	}
	c.Step(len(s))
	if n, ok := py.ParseInt(s, b.Int(2, 10)); ok {
		return n
	}
	if f, ok := py.ParseFloat(s); ok && !math.IsNaN(f) {
		if math.IsInf(f, 0) {
			py.Raise("OverflowError", "cannot convert float infinity to integer")
		}
		n, _ := big.NewFloat(math.Trunc(f)).Int(nil)
		return py.Norm(n)
	}
	return otherwise
}

func toFloat(c *Call, b py.Bound) any {
	otherwise := b.Or(1, 0.0)
	if u, ok := b[0].(*py.Undefined); ok {
		u.Raise()
		return otherwise
	}
	if py.IsNumber(b[0]) {
		return py.Binary(c.Run, "*", b[0], 1.0)
	}
	if s, ok := py.Text(b[0]); ok {
		if f, ok := py.ParseFloat(s); ok {
			return f
		}
	}
	return otherwise
}

func round(c *Call, b py.Bound) any {
	method := b.Str(c.Run, 2, "common")
	if method != "common" && method != "ceil" && method != "floor" {
		py.Raise(py.RuntimeError, "method must be common, ceil or floor")
	}
	precision := b.Int(1, 0)
	if precision > 400 || precision < -400 {
		py.Raise(py.LimitError, "the precision is too large")
	}
	if method == "common" && isInteger(py.Plus(b[0])) {
		if precision >= 0 {
			return py.Plus(b[0])
		}
	}
	f, _ := py.Binary(c.Run, "*", b[0], 1.0).(float64)
	if method == "common" {
		v := roundHalfEven(f, precision)
		if isInteger(py.Plus(b[0])) {
			n, _ := big.NewFloat(v).Int(nil)
			return py.Norm(n)
		}
		return v
	}
	scale := math.Pow10(precision)
	if method == "ceil" {
		return math.Ceil(f*scale) / scale
	}
	return math.Floor(f*scale) / scale
}

// roundHalfEven rounds the exact value of a float, as Python does.
func roundHalfEven(f float64, precision int) float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return f
	}
	if precision >= 0 {
		v, ok := py.ParseFloat(big.NewFloat(f).Text('f', precision))
		if ok {
			return v
		}
		return f
	}
	scale := math.Pow10(-precision)
	return math.RoundToEven(f/scale) * scale
}

func fileSize(c *Call, b py.Bound) any {
	n, _ := py.Binary(c.Run, "*", toFloat(c, py.Bound{b[0], 0.0}), 1.0).(float64)
	base, units := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if b.Bool(c.Run, 1, false) {
		base, units = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case n == 1:
		return "1 Byte"
	case n < base:
		return sprintf("%d Bytes", int64(n))
	}
	for i, unit := range units {
		if top := math.Pow(base, float64(i+2)); n < top || i == len(units)-1 {
			return sprintf("%.1f %s", base*n/top, unit)
		}
	}
	return nil
}
