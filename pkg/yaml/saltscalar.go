package yaml

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// What plain scalars look like, from PyYAML's resolver.
var (
	looksInt = regexp.MustCompile(`^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|` +
		`[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	looksFloat = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|` +
		`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	looksBool = regexp.MustCompile(`^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$`)
)

var bools = map[string]bool{"yes": true, "no": false, "true": true, "false": false, "on": true, "off": false}

// resolve gives the value of a plain scalar.
func resolve(text string) any {
	switch {
	case text == "", text == "~", text == "null", text == "Null", text == "NULL":
		return nil
	case looksBool.MatchString(text):
		return bools[strings.ToLower(text)]
	case !strings.ContainsRune("+-.0123456789", rune(text[0])):
		return text
	case looksInt.MatchString(text):
		if i, ok := integer(text); ok {
			return i
		}
	case looksFloat.MatchString(text):
		if f, ok := float(text); ok {
			return f
		}
	}
	return text
}

// maxDigits is where Python stops reading integers.
const maxDigits = 4300

// integer reads what PyYAML's constructor would, with Salt's change: zeros in front of a number without a sign mean
// nothing. The sign makes it octal again.
func integer(text string) (any, bool) {
	if len(text) > maxDigits {
		return nil, false
	}
	if strings.HasPrefix(text, "0") && !strings.HasPrefix(text, "0b") && !strings.HasPrefix(text, "0x") {
		text = strings.TrimLeft(text, "0")
		if text == "" {
			text = "0"
		}
	}
	text = strings.ReplaceAll(text, "_", "")
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimPrefix(digits, "+")
	n := new(big.Int)
	ok := false
	switch {
	case digits == "" || digits[0] == '-' || digits[0] == '+': // a second sign is for us, not for big.Int
	case strings.HasPrefix(digits, "0b"):
		_, ok = n.SetString(digits[2:], 2)
	case strings.HasPrefix(digits, "0x"):
		_, ok = n.SetString(digits[2:], 16)
	case digits[0] == '0' && len(digits) > 1:
		_, ok = n.SetString(digits, 8)
	case strings.Contains(digits, ":"):
		n, ok = sexagesimal(digits)
	default:
		_, ok = n.SetString(digits, 10)
	}
	if !ok {
		return nil, false
	}
	if negative {
		n.Neg(n)
	}
	if n.IsInt64() {
		return n.Int64(), true
	}
	return n, true
}

func sexagesimal(text string) (*big.Int, bool) {
	n, sixty := new(big.Int), big.NewInt(60)
	for part := range strings.SplitSeq(text, ":") {
		digit, ok := new(big.Int).SetString(part, 10)
		if !ok {
			return nil, false
		}
		n.Add(n.Mul(n, sixty), digit)
	}
	return n, true
}

func float(text string) (float64, bool) {
	text = strings.ToLower(strings.ReplaceAll(text, "_", ""))
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimPrefix(digits, "+")
	f := 0.0
	switch digits {
	case ".inf":
		f = math.Inf(1)
	case ".nan":
		return math.NaN(), true
	default:
		for part := range strings.SplitSeq(digits, ":") {
			digit, err := strconv.ParseFloat(part, 64)
			if err != nil && digit == 0 { // too large a number is infinite, as in Python
				return 0, false
			}
			f = f*60 + digit
		}
	}
	if negative {
		f = -f
	}
	return f, true
}
