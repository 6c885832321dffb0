// Package yaml reads the files that users write: bounded in size, depth and expansion, decoded strictly into plain
// structs, and every complaint with its file, line, column and the line itself. JSON is YAML. It is the only home of the
// YAML library, so nobody else knows which one it is.
//
// # What is accepted
//
// One document of mappings, sequences and scalars. Anchors, aliases and merge keys (<<) work and are counted against the
// limits. Duplicate keys, custom tags, keys that are not scalars, and a second document are refused.
package yaml
