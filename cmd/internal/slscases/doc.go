// Package slscases holds recorded answers of Salt 3006.16 to SLS files, and the test that gives the same files to the real
// brine-minion call. testdata/README.md tells their format.
package slscases
