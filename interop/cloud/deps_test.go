package cloud

import (
	_ "github.com/IBM/go-sdk-core/v5/core"
	_ "github.com/IBM/keyprotect-go-client"
	_ "github.com/IBM/platform-services-go-sdk/iamidentityv1"
	_ "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"
	_ "github.com/IBM/vpc-go-sdk/vpcv1"
	_ "github.com/softlayer/softlayer-go/datatypes"
	_ "github.com/softlayer/softlayer-go/services"
	_ "github.com/softlayer/softlayer-go/session"

	_ "github.com/luksimg/luksimg/ibm/sandbox"
)
