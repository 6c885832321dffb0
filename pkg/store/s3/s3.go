// Package s3 stores archives in a bucket of Amazon S3 or of a server that speaks its protocol. It is the only home of the
// AWS SDK's S3 parts.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/pkg/store"
)

var (
	_ store.Driver    = (*Bucket)(nil)
	_ store.Presigner = (*Bucket)(nil)
)

// Plugin is the line for the list of drivers.
var Plugin = registry.Plugin[store.Driver]{Name: "s3", Help: "a bucket of Amazon S3 or of a compatible server", New: open}

// Config is the section of the driver.
type Config struct {
	Bucket    string       `yaml:"bucket"`
	Prefix    string       `yaml:"prefix"`     // folder in the bucket
	Region    string       `yaml:"region"`     // the environment's when empty; us-east-1 with an endpoint
	Endpoint  string       `yaml:"endpoint"`   // URL of a server that is not Amazon's; minions fetch from it too
	PathStyle bool         `yaml:"path_style"` // http://host/bucket/key instead of http://bucket.host/key
	AccessKey string       `yaml:"access_key"` // with secret_key; empty: environment, profile, instance role
	SecretKey fleet.Secret `yaml:"secret_key"`
}

func open(section registry.Section, _ *slog.Logger) (store.Driver, error) {
	var cfg Config
	if err := section.Decode(&cfg); err != nil {
		return nil, err
	}
	return New(context.Background(), cfg)
}

// Bucket is a store.Driver and a store.Presigner.
type Bucket struct {
	bucket   string
	prefix   string // empty, or ends with a slash
	client   *s3.Client
	presign  *s3.PresignClient
	transfer *transfermanager.Client
}

// New makes the driver; it talks to no server yet.
func New(ctx context.Context, cfg Config) (*Bucket, error) {
	switch {
	case cfg.Bucket == "":
		return nil, errors.New("bucket is missing")
	case (cfg.AccessKey == "") != (cfg.SecretKey == ""):
		return nil, errors.New("access_key and secret_key go together")
	}
	var options []func(*config.LoadOptions) error
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKey != "" {
		static := credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey.Reveal(), "")
		options = append(options, config.WithCredentialsProvider(static))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	if sdk.Region == "" && cfg.Endpoint == "" {
		return nil, errors.New("region is missing: set it here or in AWS_REGION")
	}
	client := s3.NewFromConfig(sdk, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // archives have a digest and a seal
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		if o.Region == "" {
			o.Region = "us-east-1"
		}
	})
	b := &Bucket{bucket: cfg.Bucket, client: client, presign: s3.NewPresignClient(client)}
	if prefix := strings.Trim(cfg.Prefix, "/"); prefix != "" {
		b.prefix = prefix + "/"
	}
	// The default checksum, CRC32, is the one that S3-compatible servers know also for uploads in parts.
	b.transfer = transfermanager.New(client)
	return b, nil
}

func (b *Bucket) key(name string) *string { return aws.String(b.prefix + name) }

// Put implements store.Driver. Amazon S3 and versitygw honour If-None-Match, also at the end of an upload in parts. It
// looks first all the same: that saves the upload of what is there, and it is all that keeps an object on a server that
// does not know the header.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if _, err := b.Stat(ctx, name); !errors.Is(err, store.ErrNotFound) {
		if err == nil {
			return store.ErrExists
		}
		return err
	}
	_, err := b.transfer.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &b.bucket, Key: b.key(name), Body: &exactly{r: r, left: size}, ContentLength: &size,
		ContentType: aws.String("application/octet-stream"), IfNoneMatch: aws.String("*"),
	})
	return b.translate(err)
}

// Get implements store.Driver.
func (b *Bucket) Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(name)}
	if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := b.client.GetObject(ctx, in)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, b.translate(err)
	}
	return out.Body, nil
}

// Stat implements store.Driver.
func (b *Bucket) Stat(ctx context.Context, name string) (int64, error) {
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.bucket, Key: b.key(name)})
	if status(err) == http.StatusNotFound {
		// The answer to HEAD has no body that would tell a missing object from a missing bucket.
		if _, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.bucket}); status(err) == http.StatusNotFound {
			return 0, fmt.Errorf("bucket %q does not exist", b.bucket)
		}
	}
	if err != nil {
		return 0, b.translate(err)
	}
	return aws.ToInt64(out.ContentLength), nil
}

// List implements store.Driver.
func (b *Bucket) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: b.key(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.translate(err)
		}
		for _, object := range page.Contents {
			names = append(names, strings.TrimPrefix(aws.ToString(object.Key), b.prefix))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements store.Driver.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.key(name)})
	if err = b.translate(err); errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Presign implements store.Presigner. A URL made with the credentials of a role ends with them, if that is sooner.
func (b *Bucket) Presign(ctx context.Context, name string, ttl time.Duration) (string, error) {
	in := &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(name)}
	out, err := b.presign.PresignGetObject(ctx, in, s3.WithPresignExpires(ttl))
	if err != nil {
		return "", b.translate(err)
	}
	return out.URL, nil
}
