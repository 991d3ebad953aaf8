module github.com/luksimg/luksimg/xts/_asm

go 1.26
