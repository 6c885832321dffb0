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

// probeOS finds os, os_family (osfamily is the same), osrelease and osmajorrelease. A rolling distribution has no release.
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
	found := fleet.Grains{"os": name, "os_family": family, "osfamily": family}
	if version := release["VERSION_ID"]; version != "" {
		found["osrelease"] = version
		major, _, _ := strings.Cut(version, ".")
		found["osmajorrelease"] = major
		if n, err := strconv.Atoi(major); err == nil {
			found["osmajorrelease"] = n
		}
	}
	return found
}

type distribution struct{ os, family string }

// distributions gives Salt's names of what an os-release calls ID.
func distributions() map[string]distribution {
	return map[string]distribution{
		"almalinux":           {"AlmaLinux", "RedHat"},
		"alpine":              {"Alpine", "Alpine"},
		"amzn":                {"Amazon", "RedHat"},
		"arch":                {"Arch", "Arch"},
		"archarm":             {"Arch ARM", "Arch"},
		"centos":              {"CentOS", "RedHat"},
		"cloudlinux":          {"CloudLinux", "RedHat"},
		"debian":              {"Debian", "Debian"},
		"devuan":              {"Devuan", "Debian"},
		"fedora":              {"Fedora", "RedHat"},
		"gentoo":              {"Gentoo", "Gentoo"},
		"kali":                {"Kali", "Debian"},
		"linuxmint":           {"Mint", "Debian"},
		"manjaro":             {"Manjaro", "Arch"},
		"ol":                  {"OEL", "RedHat"},
		"opensuse-leap":       {"SUSE", "Suse"},
		"opensuse-tumbleweed": {"SUSE", "Suse"},
		"pop":                 {"Pop", "Debian"},
		"raspbian":            {"Raspbian", "Debian"},
		"rhel":                {"RedHat", "RedHat"},
		"rocky":               {"Rocky", "RedHat"},
		"scientific":          {"ScientificLinux", "RedHat"},
		"sles":                {"SUSE", "Suse"},
		"suse":                {"SUSE", "Suse"},
		"ubuntu":              {"Ubuntu", "Debian"},
		"void":                {"Void", "Void"},
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
