package contender

import "github.com/luksimg/luksimg/xts"

func ours() []Contender {
	var list []Contender
	for _, impl := range xts.Implementations() {
		list = append(list, Contender{
			Name: "luksimg/" + impl,
			New: func(op string, key []byte, sectorSize int) (Crypt, error) {
				c, err := xts.New(key, xts.Options{SectorSize: sectorSize, LargeIV: true, Implementation: impl})
				if err != nil {
					return nil, err
				}
				if op == "dec" {
					return c.Decrypt, nil
				}
				return c.Encrypt, nil
			},
		})
	}
	return list
}
