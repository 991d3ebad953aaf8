package qcow

import (
	"fmt"
	"math/bits"
	"strings"
)

// Bits of the feature fields (section "Header").
const (
	incompatDirty       = 1 << 0
	incompatCorrupt     = 1 << 1
	incompatDataFile    = 1 << 2
	incompatCompression = 1 << 3
	incompatExtendedL2  = 1 << 4
	incompatKnown       = 1<<5 - 1

	compatLazyRefcounts = 1 << 0

	autoclearBitmaps = 1 << 0
	autoclearRawData = 1 << 1
)

// The feature bitmaps, numbered as in the feature name table.
const (
	featureIncompatible = 0
	featureCompatible   = 1
	featureAutoclear    = 2
)

// A featureKey is a bit of one of the three bitmaps.
type featureKey struct{ kind, bit uint8 }

var knownFeatures = map[featureKey]string{
	{featureIncompatible, 0}: "dirty",
	{featureIncompatible, 1}: "corrupt",
	{featureIncompatible, 2}: "external data file",
	{featureIncompatible, 3}: "compression type",
	{featureIncompatible, 4}: "extended L2 entries",
	{featureCompatible, 0}:   "lazy refcounts",
	{featureAutoclear, 0}:    "bitmaps",
	{featureAutoclear, 1}:    "raw external data",
}

func (h *header) dirty() bool      { return h.incompatible&incompatDirty != 0 }
func (h *header) corrupt() bool    { return h.incompatible&incompatCorrupt != 0 }
func (h *header) dataFile() bool   { return h.incompatible&incompatDataFile != 0 }
func (h *header) extendedL2() bool { return h.incompatible&incompatExtendedL2 != 0 }

// checkFeatures refuses unknown incompatible features, and features that contradict the rest of the
// header.
func (h *header) checkFeatures() error {
	if unknown := h.incompatible &^ incompatKnown; unknown != 0 {
		var names []string
		for ; unknown != 0; unknown &= unknown - 1 {
			names = append(names, h.featureName(featureIncompatible, uint8(bits.TrailingZeros64(unknown))))
		}
		return unsupported("unknown incompatible features: %s", strings.Join(names, ", "))
	}
	if has := h.incompatible&incompatCompression != 0; has != (h.compression != compressionZlib) {
		return fieldError(offCompression, "compression_type", h.compression,
			"a value other than 0 if incompatible feature bit 3 is set, or 0 if it is clear")
	}
	if h.compression > compressionZstd {
		return unsupported("compression type %d", h.compression)
	}
	if h.extendedL2() && h.clusterBits < 14 {
		return fieldError(offClusterBits, "cluster_bits", h.clusterBits, "at least 14, as the image has extended L2 entries")
	}
	if h.dataFile() && h.snapshots != 0 {
		return fieldError(offSnapshots, "nb_snapshots", h.snapshots, "0, as the image has an external data file")
	}
	if h.crypt == cryptLUKS && !h.hasCrypto {
		return fieldError(offCryptMethod, "crypt_method", h.crypt, "a header extension 0x0537be77 with the offset of the LUKS header")
	}
	return nil
}

// featureName returns the name of a feature. If the feature is unknown, it uses the table in the
// image.
func (h *header) featureName(kind, bit uint8) string {
	k := featureKey{kind, bit}
	if name, ok := knownFeatures[k]; ok {
		return name
	}
	if name, ok := h.featureNames[k]; ok {
		return fmt.Sprintf("bit %d (%q)", bit, name)
	}
	return fmt.Sprintf("bit %d", bit)
}

// features returns the names of all features that are set.
func (h *header) features() []string {
	var names []string
	for kind, set := range []uint64{h.incompatible, h.compatible, h.autoclear} {
		for ; set != 0; set &= set - 1 {
			names = append(names, h.featureName(uint8(kind), uint8(bits.TrailingZeros64(set))))
		}
	}
	return names
}
