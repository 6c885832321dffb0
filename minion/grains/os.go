package grains

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeOS finds os, os_family (osfamily is the same), osfullname, oscodename, osrelease, osrelease_info, osmajorrelease,
// osfinger, and what lsb_release says of them. A rolling distribution has no release.
func probeOS(_ context.Context, root fs.FS) (fleet.Grains, error) {
	content, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		content, err = fs.ReadFile(root, "usr/lib/os-release")
	}
	if err != nil {
		return nil, fmt.Errorf("read os-release: %w", err)
	}
	return osGrains(parseOSRelease(content)), nil
}

func osGrains(release map[string]string) fleet.Grains {
	id := release["ID"]
	known := distributions()[id]
	name := cmp.Or(known.os, strings.TrimSpace(strings.TrimSuffix(release["NAME"], "Linux")), "Linux")
	if id == "centos" && strings.HasSuffix(release["NAME"], "Stream") {
		name = "CentOS Stream"
	}
	family := known.family
	for like := range strings.FieldsSeq(release["ID_LIKE"]) {
		family = cmp.Or(family, distributions()[like].family)
	}
	family = cmp.Or(family, name)
	full := cmp.Or(known.full, release["NAME"], name)
	found := fleet.Grains{"os": name, "os_family": family, "osfamily": family, "osfullname": full}
	if code := codename(release, family); code != "" {
		found["oscodename"], found["lsb_distrib_codename"] = code, code
	}
	found["lsb_distrib_id"] = full
	version := release["VERSION_ID"]
	if version == "" {
		return found
	}
	found["osrelease"], found["lsb_distrib_release"] = version, version
	info := releaseInfo(version)
	found["osrelease_info"], found["osmajorrelease"] = info, info[0]
	finger := full
	if name == "Debian" || name == "Raspbian" {
		finger = name
	}
	if found["osfinger"] = fmt.Sprintf("%s-%v", finger, info[0]); full == "Ubuntu" || name == "Pop" {
		found["osfinger"] = finger + "-" + version
	}
	return found
}

// releaseInfo takes 22.04 apart: 22 and 4. What is no number stays text.
func releaseInfo(version string) []any {
	var info []any
	for part := range strings.SplitSeq(version, ".") {
		if n, err := strconv.Atoi(part); err == nil {
			info = append(info, n)
		} else {
			info = append(info, part)
		}
	}
	return info
}

// codename is what Debian's kind calls a release; the others have their pretty name in its place.
func codename(release map[string]string, family string) string {
	code := cmp.Or(release["VERSION_CODENAME"], release["UBUNTU_CODENAME"])
	if code == "" && family == "Debian" {
		if _, inside, ok := strings.Cut(release["VERSION"], "("); ok {
			code = strings.TrimSuffix(inside, ")")
		}
	}
	return cmp.Or(code, release["PRETTY_NAME"])
}

// distribution is what Salt calls one: os, os_family, and osfullname where that is not the NAME of its os-release.
type distribution struct{ os, family, full string }

// distributions gives Salt's names of what an os-release calls ID.
func distributions() map[string]distribution {
	return map[string]distribution{
		"almalinux":           {os: "AlmaLinux", family: "RedHat"},
		"alpine":              {os: "Alpine", family: "Alpine"},
		"amzn":                {os: "Amazon", family: "RedHat"},
		"arch":                {os: "Arch", family: "Arch"},
		"archarm":             {os: "Arch ARM", family: "Arch"},
		"centos":              {os: "CentOS", family: "RedHat"},
		"cloudlinux":          {os: "CloudLinux", family: "RedHat"},
		"debian":              {os: "Debian", family: "Debian"},
		"devuan":              {os: "Devuan", family: "Debian"},
		"fedora":              {os: "Fedora", family: "RedHat"},
		"gentoo":              {os: "Gentoo", family: "Gentoo"},
		"kali":                {os: "Kali", family: "Debian"},
		"linuxmint":           {os: "Mint", family: "Debian"},
		"manjaro":             {os: "Manjaro", family: "Arch"},
		"ol":                  {os: "OEL", family: "RedHat"},
		"opensuse-leap":       {os: "SUSE", family: "Suse", full: "Leap"},
		"opensuse-tumbleweed": {os: "SUSE", family: "Suse", full: "Tumbleweed"},
		"pop":                 {os: "Pop", family: "Debian"},
		"raspbian":            {os: "Raspbian", family: "Debian"},
		"rhel":                {os: "RedHat", family: "RedHat"},
		"rocky":               {os: "Rocky", family: "RedHat"},
		"scientific":          {os: "ScientificLinux", family: "RedHat"},
		"sles":                {os: "SUSE", family: "Suse"},
		"suse":                {os: "SUSE", family: "Suse"},
		"ubuntu":              {os: "Ubuntu", family: "Debian"},
		"void":                {os: "Void", family: "Void"},
	}
}

// parseOSRelease reads lines like NAME="value"; see os-release(5).
func parseOSRelease(content []byte) map[string]string {
	release := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && !strings.HasPrefix(key, "#") {
			release[key] = strings.Trim(value, `"'`)
		}
	}
	return release
}
