package lzma

var useAssembly = false

func (s *lane) fast() {}
