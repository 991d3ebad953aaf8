package cloud

import (
	_ "github.com/softlayer/softlayer-go/datatypes"
	_ "github.com/softlayer/softlayer-go/services"
	_ "github.com/softlayer/softlayer-go/session"
)
