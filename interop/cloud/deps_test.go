package cloud

import (
	_ "github.com/IBM/vpc-go-sdk/vpcv1"
	_ "github.com/softlayer/softlayer-go/datatypes"
	_ "github.com/softlayer/softlayer-go/services"
	_ "github.com/softlayer/softlayer-go/session"

	_ "github.com/luksimg/luksimg/ibm/sandbox"
)
