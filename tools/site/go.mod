module github.com/luksimg/luksimg/tools/site

go 1.26

require (
	github.com/luksimg/luksimg v0.0.0-00010101000000-000000000000
	github.com/yuin/goldmark v1.8.7
)

replace github.com/luksimg/luksimg => ../../
