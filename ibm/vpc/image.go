package vpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// A StatusReason explains the status of an image or an instance; see [Explain].
type StatusReason struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info,omitempty"`
}

// An Image is a custom image.
type Image struct {
	ID         string         `json:"id"`
	CRN        string         `json:"crn,omitempty"`
	Name       string         `json:"name"`
	Status     string         `json:"status"`               // "pending", "available", "failed", "unusable", ...
	Reasons    []StatusReason `json:"status_reasons"`       //
	Encryption string         `json:"encryption,omitempty"` // "none" or "user_managed"
	CreatedAt  time.Time      `json:"created_at,omitzero"`
	File       struct {
		Size int64 `json:"size,omitempty"` // GB, rounded up
	} `json:"file"`
	EncryptionKey struct {
		CRN string `json:"crn,omitempty"`
	} `json:"encryption_key"`
	MinimumSize int64 `json:"minimum_provisioned_size,omitempty"` // GB
}

// Ready reports whether instances can be created from the image.
func (i *Image) Ready() bool { return i.Status == "available" }

// An ImageRequest describes an image to create.
type ImageRequest struct {
	Name            string // lower case letters, digits and hyphens
	URI             string // cos://REGION/BUCKET/OBJECT.qcow2
	OperatingSystem string // "ubuntu-22-04-amd64"
	ResourceGroup   string // its ID; "" means the default group

	// RootKeyCRN and WrappedDEK are set for an encrypted image: its root key, and
	// the passphrase as the key service wrapped it. Set both or neither.
	RootKeyCRN string
	WrappedDEK string
}

type identity struct {
	ID string `json:"id"`
}

type named struct {
	Name string `json:"name"`
}

type byCRN struct {
	CRN string `json:"crn"`
}

type imagePrototype struct {
	Name string `json:"name"`
	File struct {
		Href string `json:"href"`
	} `json:"file"`
	OperatingSystem  named     `json:"operating_system"`
	EncryptionKey    *byCRN    `json:"encryption_key,omitempty"`
	EncryptedDataKey string    `json:"encrypted_data_key,omitempty"`
	ResourceGroup    *identity `json:"resource_group,omitempty"`
}

func (r ImageRequest) prototype() (*imagePrototype, error) {
	bad := func(text string) (*imagePrototype, error) { return nil, errors.New("vpc: create image: " + text) }
	wrong := func(err error) (*imagePrototype, error) { return nil, fmt.Errorf("vpc: create image: %w", err) }
	parts := strings.SplitN(strings.TrimPrefix(r.URI, "cos://"), "/", 3)
	switch {
	case r.Name == "":
		return bad("no name")
	case r.OperatingSystem == "":
		return bad("no operating system")
	case !strings.HasPrefix(r.URI, "cos://") || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "":
		return bad("the address of the file is not cos://REGION/BUCKET/OBJECT")
	case (r.RootKeyCRN == "") != (r.WrappedDEK == ""):
		return bad("an encrypted image requires both the CRN of the root key and the wrapped key")
	case strings.ContainsAny(r.WrappedDEK, " \t\r\n"):
		return bad("the wrapped key contains white space: give the ciphertext exactly as the key service returned it")
	}
	if err := CheckImageName(r.Name); err != nil {
		return wrong(err)
	}
	if err := CheckObject(parts[2], r.WrappedDEK != ""); err != nil {
		return wrong(err)
	}
	p := &imagePrototype{Name: r.Name, OperatingSystem: named{r.OperatingSystem}, EncryptedDataKey: r.WrappedDEK}
	p.File.Href = r.URI
	if r.RootKeyCRN != "" {
		p.EncryptionKey = &byCRN{r.RootKeyCRN}
	}
	if r.ResourceGroup != "" {
		p.ResourceGroup = &identity{r.ResourceGroup}
	}
	return p, nil
}

// CreateImage requests the creation of an image, and returns it at once. [Client.WaitImage] waits
// until it is available. If the reply is lost, CreateImage looks for the image by its unique name.
// [ErrLost] means that it was not found. If an image with the name exists already, the error
// matches [ErrExists].
func (c *Client) CreateImage(ctx context.Context, r ImageRequest) (*Image, error) {
	p, err := r.prototype()
	if err != nil {
		return nil, err
	}
	if before, err := c.FindImage(ctx, r.Name); err == nil {
		return nil, fmt.Errorf("vpc: create image: %w: %q, ID %s", ErrExists, r.Name, before.ID)
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	const op = "create image"
	return rest.Create(ctx, c.once(), func() (*Image, error) {
		img := new(Image)
		err := c.call(ctx, op, http.MethodPost, "images", nil, p, img)
		if err == nil && img.ID == "" {
			err = badAnswer(&Error{Op: op, Status: http.StatusCreated, CorrelationID: c.opts.CorrelationID}, "the response has no image")
		}
		if err != nil {
			return nil, err
		}
		return img, nil
	}, func() (*Image, error) {
		found, err := c.FindImage(ctx, r.Name)
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return found, err
	})
}

// Image returns an image by its ID. If there is no such image, the error is [ErrNotFound].
func (c *Client) Image(ctx context.Context, id string) (*Image, error) {
	img := new(Image)
	if err := c.call(ctx, "get image", http.MethodGet, "images/"+url.PathEscape(id), nil, nil, img); err != nil {
		return nil, err
	}
	if img.ID == "" {
		return nil, badAnswer(&Error{Op: "get image", Status: http.StatusOK}, "the response has no image")
	}
	return img, nil
}

// Images returns the private images of the region.
func (c *Client) Images(ctx context.Context) ([]Image, error) {
	return c.images(ctx, "list images", url.Values{"visibility": {"private"}})
}

func (c *Client) images(ctx context.Context, op string, q url.Values) ([]Image, error) {
	return list[Image](ctx, c, op, "images", "images", q)
}

// DeleteImage deletes an image. A failed image otherwise remains and blocks its name. If there is
// no such image, the error is [ErrNotFound].
func (c *Client) DeleteImage(ctx context.Context, id string) error {
	return c.call(ctx, "delete image", http.MethodDelete, "images/"+url.PathEscape(id), nil, nil, nil)
}

// FindImage returns the private image with this name. If there is none, the error is
// [ErrNotFound].
func (c *Client) FindImage(ctx context.Context, name string) (*Image, error) {
	all, err := c.images(ctx, "find image", url.Values{"visibility": {"private"}, "name": {name}})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("vpc: image %q: %w", name, ErrNotFound)
}

// LookUp returns the private image with a name or an ID. If there is none, the error is
// [ErrNotFound].
func (c *Client) LookUp(ctx context.Context, name string) (*Image, error) {
	img, err := c.FindImage(ctx, name)
	if errors.Is(err, ErrNotFound) {
		img, err = c.Image(ctx, name)
	}
	if errors.Is(err, ErrNotFound) {
		err = rest.WithHint(err, "give the name or the ID of an image of this region: ibmcloud is images --visibility private lists them")
	}
	return img, err
}
