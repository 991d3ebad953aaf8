package vpc

var Advised = advised

// Endpoint returns the base address of the client.
func (c *Client) Endpoint() string { return c.opts.Endpoint }
