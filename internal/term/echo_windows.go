package term

import (
	"os"

	"golang.org/x/sys/windows"
)

// hide turns off echo until restore is called.
func hide(console *os.File) (restore func(), err error) {
	h := windows.Handle(console.Fd())
	var before uint32
	if err := windows.GetConsoleMode(h, &before); err != nil {
		return nil, err
	}
	hidden := before &^ windows.ENABLE_ECHO_INPUT
	hidden |= windows.ENABLE_PROCESSED_INPUT | windows.ENABLE_LINE_INPUT
	if err := windows.SetConsoleMode(h, hidden); err != nil {
		return nil, err
	}
	return func() { windows.SetConsoleMode(h, before) }, nil
}
