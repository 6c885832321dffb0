// Package render makes documents of templates: Jinja, then YAML as Salt reads it, or what a file's first line names. It
// is what states, pillar and the files of states are rendered with.
//
// The Jinja engine is pkg/render/jinja; this package gives it what Salt adds: grains, pillar, salt[...], the names of the
// file being rendered, filters and tests, and imports of YAML and JSON.
package render
