// Package runner runs one deploy.release on this host, layout releases, so that kill -9 at any instant leaves the old
// release or the new one live, never a mixture.
//
// # What is where
//
//	ROOT/current                  relative symlink to the live release, switched by one rename
//	ROOT/releases/ID/             one release; ID is the UTC time and the short digest, so names sort by age
//	ROOT/shared/                  what releases share; they hold links to it
//	ROOT/.staging/JOB/            a release that is being unpacked, or one on its way out
//	ROOT/.brine/lock              held while a job works on the root
//	ROOT/.brine/releases/ID.json  what is known of a release: digest, whether it is good
//	STATE/jobs/JOB.json           the steps of a job: written before each step, kept until the job's return is safe
//	STATE/logs/JOB/               the output of its scripts
//
// # The steps of a job
//
//	fetching -> stopping -> installing -> activating -> starting -> validated -> done
//	    |           \___________\______________\___________\-> reverting ------->/
//	    \----------------------------------------------------------------------->/
//
// Nothing of the live release is touched in fetching: the archive is there, whole and checked, with its appspec and its
// scripts, before anything is stopped. From stopping on a failure, or a dead minion's successor, goes back to the old
// release: the link is switched back and its start scripts run again. Once validated there is no way back any more.
package runner
