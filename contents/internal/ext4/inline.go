package ext4

import "fmt"

const (
	attrMagic       = 0xea020000
	attrHeader      = 4
	attrEntry       = 16
	attrIndexSystem = 7 // names that start with "system."
)

// inline returns the content of a file or directory that is stored in its inode. It starts in place
// of the block pointers and continues in the attribute "system.data" ("Inline Data", "Extended
// Attributes").
func (n *Node) inline() (head, tail []byte, err error) {
	head = n.raw[40:100]
	if len(n.raw) < 132 {
		return head, nil, nil
	}
	extra := int(le.Uint16(n.raw[128:]))
	if extra%4 != 0 || extra > len(n.raw)-128 {
		return nil, nil, bad(n.at+128, "i_extra_isize", extra, fmt.Sprintf("a multiple of 4, at most %d", len(n.raw)-128))
	}
	attrs := n.raw[128+extra:]
	if len(attrs) < attrHeader || le.Uint32(attrs) != attrMagic {
		return head, nil, nil
	}
	attrs = attrs[attrHeader:]
	at := n.at + int64(len(n.raw)-len(attrs))
	for i := 0; i+attrEntry <= len(attrs) && le.Uint32(attrs[i:]) != 0; {
		e := attrs[i:]
		nameLen := int(e[0])
		off, external, size := int(le.Uint16(e[2:])), le.Uint32(e[4:]), int64(le.Uint32(e[8:]))
		if attrEntry+nameLen > len(e) {
			return nil, nil, bad(at+int64(i), "e_name_len", nameLen, "inside the inode")
		}
		if e[1] == attrIndexSystem && string(e[attrEntry:attrEntry+nameLen]) == "data" {
			if external != 0 || off > len(attrs) || size > int64(len(attrs)-off) {
				return nil, nil, bad(at+int64(i)+8, "e_value_size", size, "inside the inode")
			}
			return head, attrs[off : off+int(size)], nil
		}
		i += (attrEntry + nameLen + 3) &^ 3
	}
	return head, nil, nil
}
