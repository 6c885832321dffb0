package cloud

import (
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// describeAlarm asks for an alarm of either kind: composite ones are told only when they are asked for.
func describeAlarm(name string) *cloudwatch.DescribeAlarmsInput {
	return &cloudwatch.DescribeAlarmsInput{
		AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
	}
}
