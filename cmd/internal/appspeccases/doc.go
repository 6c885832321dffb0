// Package appspeccases holds recorded answers of CodeDeploy's real agent to many bundles, and the test that gives the same
// bundles to the real brine-minion local. testdata/README.md tells their format.
package appspeccases
