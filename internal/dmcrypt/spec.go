package dmcrypt

import "strings"

// maxSpec is CRYPTO_MAX_ALG_NAME of the kernel, which bounds its names. It also bounds the part of an
// untrusted specification in errors.
const maxSpec = 128

// A spec is a parsed cipher specification.
type spec struct {
	text   string
	cipher string // block cipher, or stream and block cipher: "aes", "xchacha12,aes"
	mode   string // of operation: "xts"
	iv     string // IV generator; "" if missing
	ivOpts string // "sha256" of "essiv:sha256"
}

// parse parses a specification as the kernel does (crypt_ctr_cipher_old and crypt_ctr_cipher_new in
// drivers/md/dm-crypt.c). There are two forms:
//
//	cipher-mode-iv:options
//	capi:mode(cipher)-iv:options
//
// The only name it knows is ecb, the one mode without an IV.
func parse(text string) (*spec, error) {
	s := &spec{text: text}
	if len(text) > maxSpec {
		s.text = text[:maxSpec]
		return nil, s.unknown("longer than %d bytes", maxSpec)
	}
	var err error
	if api, ok := strings.CutPrefix(text, "capi:"); ok {
		err = s.parseAPI(api)
	} else {
		err = s.parseOld(text)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case s.cipher == "":
		return nil, s.unknown("no block cipher in it")
	case s.mode != "ecb" && s.iv == "":
		return nil, s.unknown("no IV generator in it")
	}
	return s, nil
}

// parseOld parses the form without capi, which most headers use.
func (s *spec) parseOld(text string) error {
	if strings.ContainsAny(text, "()") {
		return s.unknown("parentheses without capi:")
	}
	var hasMode, hasIV bool
	s.cipher, text, hasMode = strings.Cut(text, "-")
	s.mode, text, hasIV = strings.Cut(text, "-")
	s.iv, s.ivOpts, _ = strings.Cut(text, ":")
	if strings.Contains(s.cipher, ":") {
		return s.unknown("multiple keys, as of loop-AES")
	}
	if !hasMode || s.mode == "plain" && !hasIV {
		s.mode, s.iv = "cbc", "plain" // the defaults of the first dm-crypt
	}
	return nil
}

// parseAPI parses the kernel's own name of an algorithm. It splits off the options first, because the
// name of a hash can contain a hyphen.
func (s *spec) parseAPI(text string) error {
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		text, s.ivOpts = text[:i], text[i+1:]
	}
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		text, s.iv = text[:i], text[i+1:]
	}
	mode, inner, ok := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !ok || !closed {
		return s.unknown("%q is not of the form mode(cipher)", text)
	}
	if strings.ContainsAny(inner, "()") {
		return s.unknown("nested algorithms in %q", text)
	}
	s.mode, s.cipher = mode, inner
	return nil
}
