// Package archive unpacks archives: Salt's archive.extracted. Nothing that an archive holds is written outside the
// directory: names and links that lead out are refused, whatever is there already is never followed out of it.
package archive

import "github.com/brine-deploy/brine/states/state"

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"extracted": {
			Doc: "Unpacks an archive (tar, plain or compressed by gzip, bzip2, xz or zstd; zip) into a directory, unless all that it holds is there. " +
				"Unless enforce_toplevel is False, it must have one directory at its top.",
			Params: []string{
				"source", "source_hash", "source_hash_name", "source_hash_update", "skip_files_list_verify", "skip_verify", "password", "options",
				"list_options", "force", "overwrite", "clean", "clean_parent", "user", "group", "if_missing", "trim_output", "use_cmd_unzip",
				"extract_perms", "enforce_toplevel", "enforce_ownership_on", "archive_format", "keep", "keep_source", "use_etag", "saltenv",
			},
			Run: run,
		},
	}
}
