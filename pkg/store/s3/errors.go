package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/brine-deploy/brine/pkg/store"
)

// status is the HTTP status that an error came with, or 0.
func status(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// translate gives an error of the SDK the store's own meaning.
func (b *Bucket) translate(err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchBucket" {
		return fmt.Errorf("bucket %q does not exist: %w", b.bucket, err)
	}
	switch status(err) {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", store.ErrExists, err)
	case http.StatusConflict: // two writers at once: S3 asks to come again
		return fmt.Errorf("%w: %w", store.ErrTemporary, err)
	case http.StatusForbidden:
		return fmt.Errorf("bucket %q: not allowed (needed: s3:ListBucket, GetObject, PutObject, DeleteObject): %w", b.bucket, err)
	}
	if retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary {
		return fmt.Errorf("%w: %w", store.ErrTemporary, err)
	}
	return err
}

// exactly reads as many bytes as promised, or fails: a shorter object must not come to be.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	e.left -= int64(n)
	if e.left < 0 || errors.Is(err, io.EOF) && e.left > 0 {
		return n, errors.New("the archive's content and size do not agree")
	}
	return n, err
}
