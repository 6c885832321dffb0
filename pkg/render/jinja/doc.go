// Package jinja renders Jinja 3 templates as Jinja and Python do: the same text, the same errors, with the place of each.
//
// An [Environment] says what templates may use: filters, tests, globals, other templates. It is made for one rendering,
// because globals are changed by it. What filters and tests get, and how values behave, is in package py. A rendering is
// bounded in steps, memory, output and depth, whatever the template does.
package jinja
