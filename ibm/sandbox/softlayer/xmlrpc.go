package softlayer

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// xmlPath is the path of XML-RPC after any prefix. The name of the service follows it.
const xmlPath = "/xmlrpc/v3"

// An element is an XML element with the parts that XML-RPC needs (xmlrpc.com/spec).
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// child returns the first child with that name, or an empty element.
func (e element) child(name string) element {
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			return c
		}
	}
	return element{}
}

// value decodes a <value>: a map, a list, a string, a number, a bool or nil.
func (e element) value() (any, error) {
	if len(e.Children) == 0 {
		return e.Text, nil // the default type is string
	}
	t := e.Children[0]
	text := strings.TrimSpace(t.Text)
	switch t.XMLName.Local {
	case "nil":
		return nil, nil
	case "string", "dateTime.iso8601", "base64":
		return t.Text, nil
	case "boolean":
		return text == "1", nil
	case "int", "i4", "i8", "double":
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, errors.New("invalid number")
		}
		return json.Number(text), nil
	case "array":
		list := []any{}
		for _, c := range t.child("data").Children {
			v, err := c.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case "struct":
		m := map[string]any{}
		for _, c := range t.Children {
			v, err := c.child("value").value()
			if err != nil {
				return nil, err
			}
			m[strings.TrimSpace(c.child("name").Text)] = v
		}
		return m, nil
	}
	return nil, fmt.Errorf("unknown type %q", t.XMLName.Local)
}

// parseXML parses an XML-RPC request. Its first parameter holds the headers: the object number,
// the mask, the filter, the limit of a list, and the credentials, which are copied to the request.
func parseXML(r *http.Request) (*call, error) {
	_, service, _ := strings.Cut(r.URL.Path, xmlPath)
	_, service, _ = strings.Cut(service, "/") // skips ".1"
	d := xml.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // slcli sends UTF-8 but declares Latin-1
	var e element
	bad := public("The request is not understood.")
	if d.Decode(&e) != nil || e.XMLName.Local != "methodCall" || r.Method != http.MethodPost {
		return nil, bad
	}
	c := &call{service: service, method: strings.TrimSpace(e.child("methodName").Text), limit: maxList}
	for n, p := range e.child("params").Children {
		v, err := p.child("value").value()
		if err != nil {
			return nil, public("%v", err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, bad
		}
		if n > 0 {
			c.parameters = append(c.parameters, text)
			continue
		}
		var first struct {
			Headers map[string]json.RawMessage `json:"headers"`
		}
		if json.Unmarshal(text, &first) != nil {
			return nil, bad
		}
		if err := c.readHeaders(r, first.Headers); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *call) readHeaders(r *http.Request, headers map[string]json.RawMessage) (err error) {
	var h struct {
		ID            json.Number `json:"id"`
		Mask          any         `json:"mask"`
		Offset, Limit int         // in any letter case
		User          string      `json:"username"`
		Key           string      `json:"apiKey"`
	}
	for name, text := range headers {
		switch {
		case strings.HasSuffix(name, "ObjectFilter"):
			c.filter = string(text)
		case !slices.ContainsFunc([]string{"authenticate", "resultLimit", "InitParameters", "ObjectMask"}, func(end string) bool { return strings.HasSuffix(name, end) }):
		case json.Unmarshal(text, &h) != nil:
			return public("The header %s is not understood.", name)
		case name == "authenticate":
			r.SetBasicAuth(h.User, h.Key)
		case name == "resultLimit":
			c.offset, c.limit = h.Offset, h.Limit
		case strings.HasSuffix(name, "InitParameters"):
			if c.id, err = strconv.Atoi(h.ID.String()); err != nil {
				return public("The id of the object is not understood.")
			}
		case strings.HasSuffix(name, "ObjectMask"):
			if text, ok := h.Mask.(string); ok {
				if c.mask, err = parseMask(text); err != nil {
					return public("%v", err)
				}
			}
		}
	}
	return nil
}

// answerXML writes a result or a fault, both with status 200.
func answerXML(w http.ResponseWriter, result any, err error) {
	if c, ok := result.(created); ok {
		result = c.value
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + "<methodResponse>")
	if err != nil {
		e := &apiError{code: "SoftLayer_Exception", message: err.Error()}
		errors.As(err, &e)
		b.WriteString("<fault>")
		writeXML(&b, object{"faultCode": e.code, "faultString": e.message})
		b.WriteString("</fault>")
	} else {
		b.WriteString("<params><param>")
		writeXML(&b, result)
		b.WriteString("</param></params>")
	}
	b.WriteString("</methodResponse>")
	w.Header().Set("Content-Type", "text/xml")
	w.Write(b.Bytes())
}

// writeXML writes a <value>.
func writeXML(b *bytes.Buffer, v any) {
	b.WriteString("<value>")
	defer b.WriteString("</value>")
	list := func(n int, at func(int) any) {
		b.WriteString("<array><data>")
		for i := range n {
			writeXML(b, at(i))
		}
		b.WriteString("</data></array>")
	}
	switch m := v.(type) {
	case map[string]any:
		v = object(m)
	case embedded:
		v = object(m)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("<nil/>")
	case bool:
		fmt.Fprintf(b, "<boolean>%d</boolean>", map[bool]int{true: 1}[v])
	case int, int64:
		fmt.Fprintf(b, "<int>%d</int>", v)
	case float64:
		// Answer with integers where possible: clients do not accept a double in place of an integer.
		if v == math.Trunc(v) {
			fmt.Fprintf(b, "<int>%.0f</int>", v)
		} else {
			fmt.Fprintf(b, "<double>%s</double>", strconv.FormatFloat(v, 'f', -1, 64))
		}
	case []object:
		list(len(v), func(i int) any { return v[i] })
	case []any:
		list(len(v), func(i int) any { return v[i] })
	case object:
		b.WriteString("<struct>")
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteString("<member><name>")
			xml.EscapeText(b, []byte(name))
			b.WriteString("</name>")
			writeXML(b, v[name])
			b.WriteString("</member>")
		}
		b.WriteString("</struct>")
	default:
		b.WriteString("<string>")
		xml.EscapeText(b, []byte(fmt.Sprint(v)))
		b.WriteString("</string>")
	}
}
