package fleet

// The exit codes of every brine command.
const (
	ExitDone     = 0
	ExitFailed   = 1
	ExitUsage    = 2 // usage or bad configuration
	ExitPartly   = 3
	ExitReverted = 4
	ExitLocked   = 5 // locked or frozen
	ExitTimeout  = 6
)

// ExitCode is the exit code of a command that waited for the deployment.
func (s DeploymentStatus) ExitCode() int {
	switch s {
	case DeploySucceeded:
		return ExitDone
	case DeployPartly:
		return ExitPartly
	case Reverted:
		return ExitReverted
	case TimedOut:
		return ExitTimeout
	default:
		return ExitFailed
	}
}
