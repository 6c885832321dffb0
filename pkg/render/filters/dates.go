package filters

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

func dates() table {
	format := filter("date? format?", func(c *jinja.Call, b py.Bound) any {
		out := strftime(moment(c, b.Or(0, nil)), b.Text(1, "%Y-%m-%d"))
		c.Alloc(len(out))
		return out
	})
	return table{"strftime": format, "date_format": format}
}

// layouts are what dates look like, besides seconds since 1970.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006/01/02 15:04:05", "2006/01/02 15:04",
	"2006/01/02", "01/02/2006", "2 Jan 2006", "Jan 2, 2006", "2 January 2006", "January 2, 2006", "20060102", "20060102T150405",
	time.ANSIC, time.UnixDate, time.RFC1123, time.RFC1123Z, "15:04:05", "15:04",
}

func moment(c *jinja.Call, v any) time.Time {
	now := time.Now()
	switch v := v.(type) {
	case nil:
		return now
	case *py.Undefined:
		v.Raise()
	case bool, int64, float64:
		f, _ := py.Binary(c.Run, "*", v, 1.0).(float64)
		return seconds(f)
	}
	s, ok := py.Text(v)
	if !ok {
		py.Raise("RuntimeError", "Unable to parse %s as a date", py.Str(c.Run, v))
	}
	if f, ok := py.ParseFloat(s); ok && len(s) != len("20060102") {
		return seconds(f)
	}
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.Local)
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "now", "":
		return now
	case "today", "midnight":
		return midnight
	case "yesterday":
		return midnight.AddDate(0, 0, -1)
	case "tomorrow":
		return midnight.AddDate(0, 0, 1)
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), time.Local); err == nil {
			if t.Year() == 0 {
				t = t.AddDate(now.Year(), int(now.Month())-1, now.Day()-1)
			}
			return t
		}
	}
	py.Raise("RuntimeError", "Unable to parse %s as a date", s)
	return now
}

func seconds(f float64) time.Time {
	if math.IsNaN(f) || math.Abs(f) > 253402300799 {
		py.Raise("ValueError", "year is out of range")
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9))
}

var dateCodes = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'j': "002", 'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan",
	'B': "January", 'p': "PM", 'I': "03", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006",
	'x': "01/02/06", 'X': "15:04:05", 'e': "_2", 'r': "03:04:05 PM",
}

func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		c := format[i]
		if c == '-' && i+1 < len(format) { // GNU's sign for no padding
			i++
			b.WriteString(strings.TrimLeft(strings.TrimLeft(t.Format(dateCodes[format[i]]), "0"), " "))
			continue
		}
		if layout := dateCodes[c]; layout != "" {
			b.WriteString(t.Format(layout))
			continue
		}
		year, week := t.ISOWeek()
		switch c {
		case 's':
			fmt.Fprint(&b, t.Unix())
		case 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		case 'k':
			fmt.Fprintf(&b, "%2d", t.Hour())
		case 'l':
			fmt.Fprintf(&b, "%2d", (t.Hour()+11)%12+1)
		case 'C':
			fmt.Fprintf(&b, "%02d", t.Year()/100)
		case 'u':
			fmt.Fprint(&b, (int(t.Weekday())+6)%7+1)
		case 'w':
			fmt.Fprint(&b, int(t.Weekday()))
		case 'G':
			fmt.Fprint(&b, year)
		case 'g':
			fmt.Fprintf(&b, "%02d", year%100)
		case 'V':
			fmt.Fprintf(&b, "%02d", week)
		case 'U':
			fmt.Fprintf(&b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
		case 'W':
			fmt.Fprintf(&b, "%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '%':
			b.WriteByte('%')
		case 'z', 'Z': // a date without a zone, as Salt's are, has none to print
		default:
			b.WriteString(format[i-1 : i+1])
		}
	}
	return b.String()
}
