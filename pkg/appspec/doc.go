// Package appspec reads appspec.yml, AWS CodeDeploy's description of an installation, as the real agent reads it for
// servers (version 0.0, os linux). Bytes or a tree in, a checked Spec or complaints with file, line and column out.
//
// # Where it differs from the agent
//
// The agent finds mistakes while it installs; here all are found at once, before anything runs. Beyond that: unknown
// lifecycle events, keys that are there twice, timeouts such as "5m" (which the agent takes for 5 seconds) and locations
// that lead out of the revision are refused; aliases work.
//
// The sections files and permissions are kept as they are and not looked at yet.
package appspec
