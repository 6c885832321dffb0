// Package appspec reads appspec.yml, AWS CodeDeploy's description of an installation, as the real agent reads it for
// servers (version 0.0, os linux). Bytes or a tree in, a checked Spec or complaints with file, line and column out; and a
// Plan of what its sections files and permissions do on a host, which changes nothing.
//
// The agent finds mistakes while it installs; here all are found at once, before anything runs. docs/appspec.md lists what
// else is deliberately different.
package appspec
