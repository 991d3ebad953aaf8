package main

import "github.com/luksimg/luksimg"

// advice is what to do with a file that is no disk image, as the start of a sentence.
var advice = map[luksimg.Advice]string{
	luksimg.DecompressIt: "decompress it first",
	luksimg.ExtractIt:    "extract the disk image from it first",
	luksimg.DownloadIt:   "this came in place of the image: download it again",
	luksimg.ConvertIt:    "convert it to raw first",
	luksimg.DecryptIt:    "decrypt it first",
	luksimg.FinishIt:     "finish that first",
	luksimg.NoDisk:       "name the file that has the disk",
}

// foreignHint tells what to do with a file that was recognised, and how to overrule that.
func foreignHint(e *luksimg.ForeignError) string {
	text := advice[e.Advice]
	if e.Tool != "" {
		text += ", for example with " + e.Tool
	}
	return text + "; if it is a raw disk all the same, say --source-format raw"
}
