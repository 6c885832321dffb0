// Package local deploys one bundle on this host without a master: what brine-minion local does, and what CodeDeploy's agent
// does with codedeploy-local. It reads appspec.yml as the agent does, runs the same scripts in the same order, and tells
// the outcome in the same words; docs/appspec.md lists where it is deliberately different.
//
// # What is where
//
//	STATE/deployments/APP/GROUP/ID/deployment-archive/  the unpacked revision
//	STATE/deployments/APP/GROUP/ID/logs/scripts.log     what its deployment's scripts said
//	STATE/installs/APP/GROUP/lock                       held while a deployment is at work
//	STATE/installs/APP/GROUP/running                    the script that is at work
//	STATE/installs/APP/GROUP/last.json                  the revision that was installed last
//	STATE/installs/APP/GROUP/installed.json             the files that belong to it; package inplace
//
// # The order of things
//
// Validate, take the bundle, parse, check: all that can be known is known before the first script runs, so that bad input
// stops nothing. Then the events. A conflict with what is on the host, or a user that is missing, is looked for before the
// first script too, unless the revision has scripts of its own that run before Install and might be about to mend it; then it
// is looked for right before Install touches anything.
package local
