package grains

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Whether the cloud is asked who this host is.
const (
	CloudNone = "none"
	CloudAuto = "auto" // when the firmware says that it is EC2's
	CloudEC2  = "ec2"
)

// endpointVariable is the AWS SDKs' own name for where the metadata service is.
const endpointVariable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

func wanted(cloud string, root fs.FS) bool {
	switch cloud {
	case CloudEC2:
		return true
	case CloudAuto:
		uuid := strings.ToLower(read(root, "sys/class/dmi/id/product_uuid") + read(root, "sys/hypervisor/uuid"))
		return strings.Contains(read(root, "sys/class/dmi/id/sys_vendor"), "Amazon EC2") || strings.HasPrefix(uuid, "ec2")
	}
	return false
}

// EC2 asks an instance's metadata service by version 2 of its protocol: a token is fetched first, by a request that no
// simple forwarder can be made to send, and shown with each question.
type EC2 struct {
	Endpoint string // http://169.254.169.254 when empty
	Client   *http.Client
	token    string
}

// metadataClient goes to no proxy, follows nobody and keeps no connection: the service is on this very machine.
func metadataClient() *http.Client {
	return &http.Client{
		Timeout: slowest, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

const (
	tokenSeconds  = "60"
	metadataBytes = 64 << 10
)

// errNone is for what an instance does not have.
var errNone = errors.New("the instance has none")

// Find gives the grain ec2: instance_id, instance_type, ami_id, zone, region, account_id, architecture, private_ip, the tags
// when the instance may see them, and the life cycle.
func (e *EC2) Find(ctx context.Context) (fleet.Grains, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*slowest)
	defer cancel()
	text, err := e.get(ctx, "dynamic/instance-identity/document")
	if err != nil {
		return nil, err
	}
	var doc struct{ AccountID, Architecture, AvailabilityZone, ImageID, InstanceID, InstanceType, PrivateIP, Region string }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("read identity document: %w", err)
	}
	found := map[string]any{
		"instance_id": doc.InstanceID, "instance_type": doc.InstanceType, "ami_id": doc.ImageID, "zone": doc.AvailabilityZone,
		"region": doc.Region, "account_id": doc.AccountID, "architecture": doc.Architecture, "private_ip": doc.PrivateIP,
	}
	tags, err := e.tags(ctx)
	if tags != nil {
		found["tags"] = tags
	}
	if life, lifeErr := e.get(ctx, "meta-data/instance-life-cycle"); lifeErr == nil {
		found["life_cycle"] = life
	}
	return fleet.Grains{"ec2": found}, err
}

// Identity asks the cloud, if there is one, for the document that says which instance this is, and its RSA signature. Both
// are empty without a cloud.
func Identity(ctx context.Context, cloud string) (document, signature []byte, err error) {
	if !wanted(cloud, os.DirFS("/")) {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*slowest)
	defer cancel()
	e := &EC2{Endpoint: os.Getenv(endpointVariable), Client: metadataClient()}
	doc, err := e.get(ctx, "dynamic/instance-identity/document")
	if err != nil {
		return nil, nil, err
	}
	sig, err := e.get(ctx, "dynamic/instance-identity/signature")
	if err != nil {
		return nil, nil, err
	}
	return []byte(doc), []byte(sig), nil
}

// tags reads the tags one by one: their names may hold slashes, but the service says where each is.
func (e *EC2) tags(ctx context.Context) (map[string]any, error) {
	names, err := e.get(ctx, "meta-data/tags/instance/")
	if errors.Is(err, errNone) {
		return nil, nil // not allowed for this instance
	}
	if err != nil {
		return nil, err
	}
	tags := map[string]any{}
	for name := range strings.SplitSeq(strings.TrimSpace(names), "\n") {
		if name == "" {
			continue
		}
		value, err := e.get(ctx, "meta-data/tags/instance/"+name)
		if err != nil && !errors.Is(err, errNone) {
			return tags, err
		}
		if err == nil {
			tags[name] = value
		}
	}
	return tags, nil
}

// get asks for a path below /latest. A token that is not accepted any more is fetched anew, once.
func (e *EC2) get(ctx context.Context, path string) (string, error) {
	for range 2 {
		if e.token == "" {
			token, status, err := e.do(ctx, http.MethodPut, "api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", tokenSeconds)
			if err != nil {
				return "", err
			}
			if status != http.StatusOK {
				return "", fmt.Errorf("get metadata token: status %d", status)
			}
			e.token = token
		}
		text, status, err := e.do(ctx, http.MethodGet, path, "X-Aws-Ec2-Metadata-Token", e.token)
		switch {
		case err != nil:
			return "", err
		case status == http.StatusOK:
			return text, nil
		case status == http.StatusNotFound:
			return "", fmt.Errorf("get %s: %w", path, errNone)
		case status != http.StatusUnauthorized:
			return "", fmt.Errorf("get %s: status %d", path, status)
		}
		e.token = ""
	}
	return "", fmt.Errorf("get %s: no token is accepted", path)
}

func (e *EC2) do(ctx context.Context, method, path, header, value string) (text string, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, cmp.Or(strings.TrimRight(e.Endpoint, "/"), "http://169.254.169.254")+"/latest/"+path, http.NoBody)
	if err != nil {
		return "", 0, fmt.Errorf("ask metadata service: %w", err)
	}
	req.Header.Set(header, value)
	resp, err := e.Client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("ask metadata service: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, metadataBytes))
	if err != nil {
		return "", 0, fmt.Errorf("ask metadata service: %w", err)
	}
	return string(body), resp.StatusCode, nil
}

// Tags are the tags of the cloud among grains, as a minion's own.
func Tags(of fleet.Grains) fleet.Tags {
	ec2, _ := of["ec2"].(map[string]any)
	found, _ := ec2["tags"].(map[string]any)
	tags := fleet.Tags{}
	for name, value := range found {
		if text, ok := value.(string); ok {
			tags[name] = text
		}
	}
	return tags
}
