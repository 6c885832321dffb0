// Package file makes files, directories and links what they should be: Salt's file states.
package file

import "github.com/brine-deploy/brine/states/state"

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"managed": {
			Doc: "Makes a file's content, owner and mode what they should be. The content comes from source, contents, contents_pillar or " +
				"contents_grains, rendered when template is jinja. With check_cmd the new content is judged before it is put in place.",
			Params: managedParams, Run: runManaged,
		},
		"directory": {
			Doc: "Makes a directory, and with recurse what is in it, have an owner and modes. With clean, only what required states " +
				"manage stays in it.",
			Params: directoryParams, Run: runDirectory,
		},
		"recurse": {Doc: "Makes a directory hold the files of one on the file server (source: salt://...).", Params: recurseParams, Run: runRecurse},
		"symlink": {Doc: "Makes a symbolic link to target.", Params: symlinkParams, Run: runSymlink},
		"absent":  {Doc: "Removes a file, a link, or a directory with all that is in it.", Run: runAbsent},
		"exists":  {Doc: "Fails unless the path is there.", Run: runExists},
		"missing": {Doc: "Fails if the path is there.", Run: runMissing},
		"touch": {
			Doc:    "Makes an empty file, or sets the times of one that is there, which always counts as a change.",
			Params: []string{"atime", "mtime", "makedirs"}, Run: runTouch,
		},
		"rename": {Doc: "Moves source to name, unless that was done before.", Params: []string{"source", "force", "makedirs"}, Run: runRename},
		"copy": {
			Doc:    "Copies a file or a directory of this host (source) to name, unless that is there; with force, unless it is equal.",
			Params: copyParams, Run: runCopy,
		},
		"append": {
			Doc:    "Adds the lines of text, or of source, to the end of a file that does not have them.",
			Params: appendParams, Run: runAppend,
		},
		"prepend": {
			Doc:    "Adds the lines of text, or of source, to the start of a file that does not have them; with header, not there.",
			Params: append(appendParams, "header"), Run: runPrepend,
		},
		"serialize": {
			Doc: "Writes dataset, or the pillar at dataset_pillar, to a file as serializer says: yaml, json, configparser, toml or plist " +
				"(yaml and json only, so far). merge_if_exists keeps what else is there.",
			Params: serializeParams, Run: runSerialize,
		},
		"replace": {
			Doc: "Replaces what a regular expression (Python's) finds in a file. With append_if_not_found or prepend_if_not_found, repl, or " +
				"not_found_content, is added when nothing is found. The old file is kept as NAME.bak, unless backup is False.",
			Params: replaceParams, Run: runReplace,
		},
		"line": {
			Doc: "Puts a line into a file (mode: ensure or insert, before or after the line that an expression finds), or replaces or deletes " +
				"the lines that match. Insert at location end adds the line each time, as in Salt.",
			Params: lineParams, Run: runLine,
		},
		"blockreplace": {
			Doc:    "Keeps the text between two marker lines of a file.",
			Params: blockParams, Run: runBlockreplace,
		},
		"comment": {
			Doc:    "Comments out the lines that an expression finds. The old file is kept as NAME.bak, unless backup is False.",
			Params: commentParams, Run: runComment,
		},
		"uncomment": {
			Doc:    "Takes the comment mark off the lines that an expression finds.",
			Params: commentParams, Run: runUncomment,
		},
		"keyvalue": {
			Doc:    "Sets values of keys in a file of key=value lines.",
			Params: keyvalueParams, Run: runKeyvalue,
		},
	}
}
