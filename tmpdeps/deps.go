// Package tmpdeps keeps modules in go.mod until they are used.
package tmpdeps

import (
	_ "golang.org/x/time/rate"
)
