package main

// A use says what a verb does with the file that an argument or a flag names.
type use int

const (
	reads   use = 1 << iota // a file or an object
	writes                  // a new file, or one that is replaced as a whole
	stream                  // "-" is allowed: standard input or output
	fd                      // the number of an open file descriptor
	kms                     // local:FILE, or the files that pkcs11: names
	inside                  // FILE:/PATH, a file in the image FILE
	builtin                 // a file, or the name of a built-in policy

	noFile use = 0

	// changes is for a file that is changed in place, or read and written again.
	changes = reads | writes
)

// argUses are the uses of the arguments of each verb that has any. The last one also applies to further arguments.
var argUses = map[string][]use{
	"audit":          {reads | stream},
	"cat":            {reads | stream},
	"check":          {reads | stream},
	"convert":        {reads | stream, writes | stream},
	"cp":             {reads | inside, writes | stream},
	"decrypt":        {reads | stream, writes | stream},
	"deploy":         {reads},
	"download":       {reads, writes | stream}, // the verb refuses "-" and suggests cat
	"encrypt":        {reads | stream, writes | stream},
	"export":         {noFile, noFile},
	"header backup":  {reads | stream, writes | stream},
	"header convert": {changes},
	"header erase":   {changes},
	"header repair":  {changes},
	"header restore": {changes, reads | stream},
	"import":         {noFile},
	"inspect":        {reads | stream},
	"key add":        {changes},
	"key change":     {changes},
	"key convert":    {changes},
	"key kill":       {changes, noFile},
	"key list":       {reads | stream},
	"key remove":     {changes},
	"key test":       {reads | stream},
	"keygen":         {writes | stream},
	"ls":             {reads | stream, noFile},
	"man":            {noFile}, // a folder, from which nothing is read
	"measure":        {reads | stream},
	"order":          {noFile},
	"reencrypt":      {reads | stream, writes},
	"rewrap":         {changes},
	"rootkey create": {noFile},
	"rootkey import": {noFile},
	"serve":          {reads | stream}, // --rw locks it
	"shard abort":    {changes},
	"shard finish":   {reads | stream},
	"shard plan":     {reads, writes, writes},
	"shard run":      {reads | stream},
	"shard status":   {reads | stream},
	"token add":      {changes},
	"token export":   {reads | stream},
	"token list":     {reads | stream},
	"token remove":   {changes},
	"unwrap":         {writes | stream},
	"upload":         {reads | stream, noFile}, // "-" only with --abort
	"verify":         {reads | stream, reads | stream},
}

// flagUses are the uses of all flags that name files. The verb precedes the name of a flag if the use is specific to
// that verb.
var flagUses = map[string]use{
	"add-key-file":           reads | stream,
	"audit-log":              writes,
	"deploy envelope":        changes,
	"deploy image":           changes,
	"deploy job":             reads | stream,
	"encrypt header":         writes,
	"envelope":               reads | stream,
	"generate-key":           writes,
	"header":                 reads | stream,
	"ibm-api-key-file":       reads,
	"json-file":              reads | stream,
	"keep-key":               writes,
	"key-fd":                 reads | fd,
	"key-file":               reads | stream,
	"keygen kms":             writes | kms,
	"kms":                    reads | kms,
	"manifest":               writes,
	"new-key-fd":             reads | fd,
	"new-key-file":           reads | stream,
	"new-kms":                reads | kms,
	"new-passphrase-file":    reads | stream,
	"policy":                 reads | builtin,
	"passphrase-file":        reads | stream,
	"recovery-file":          writes,
	"rewrap envelope":        changes,
	"setup api-key-file":     writes,
	"sha256-file":            reads | stream,
	"shard finish envelope":  writes,
	"shard run source":       reads,
	"source-key-fd":          reads | fd,
	"source-key-file":        reads | stream,
	"source-passphrase-file": reads | stream,
	"state":                  changes,
	"svg":                    writes,
	"token export json-file": writes | stream,
	"unwrap image":           reads,
	"user-data-file":         reads,
	"volume-key-file":        reads | stream,
	"wrap envelope":          writes,
	"wrap image":             reads,
	"wrap token":             changes,
}
