package vpc

var Advised = advised

// Endpoint returns where the client is connected to.
func (c *Client) Endpoint() string { return c.opts.Endpoint }
