package vhdx

import guids "github.com/luksimg/luksimg/internal/guid"

// A guid is a GUID in the byte order of the file.
type guid = guids.GUID
