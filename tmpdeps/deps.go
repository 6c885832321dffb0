// Package tmpdeps keeps modules in go.mod until they are used.
package tmpdeps

import (
	_ "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	_ "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	_ "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	_ "golang.org/x/time/rate"
)
