package vpc

var Advised = advised
