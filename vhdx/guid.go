package vhdx

import guids "github.com/luksimg/luksimg/internal/guid"

// A guid is as it lies in a file.
type guid = guids.GUID
