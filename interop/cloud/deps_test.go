package cloud

import (
	_ "github.com/IBM/go-sdk-core/v5/core"
	_ "github.com/IBM/ibm-cos-sdk-go/aws"
	_ "github.com/IBM/ibm-cos-sdk-go/aws/credentials/ibmiam"
	_ "github.com/IBM/ibm-cos-sdk-go/aws/session"
	_ "github.com/IBM/ibm-cos-sdk-go/service/s3"
	_ "github.com/IBM/ibm-cos-sdk-go/service/s3/s3manager"
	_ "github.com/IBM/keyprotect-go-client"
	_ "github.com/IBM/platform-services-go-sdk/iamidentityv1"
	_ "github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"
	_ "github.com/IBM/vpc-go-sdk/vpcv1"
	_ "github.com/aws/aws-sdk-go-v2/aws"
	_ "github.com/aws/aws-sdk-go-v2/credentials"
	_ "github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	_ "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	_ "github.com/aws/aws-sdk-go-v2/service/s3"
	_ "github.com/aws/smithy-go"
	_ "github.com/softlayer/softlayer-go/datatypes"
	_ "github.com/softlayer/softlayer-go/services"
	_ "github.com/softlayer/softlayer-go/session"

	_ "github.com/luksimg/luksimg/ibm/sandbox"
)
