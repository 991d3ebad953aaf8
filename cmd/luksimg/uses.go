package main

// A use says what a verb does with what an argument or a flag names.
type use int

const (
	reads   use = 1 << iota // a file, or an object
	writes                  // a file that is new, or replaced as a whole
	stream                  // it may be "-": standard input if it is read, else standard output
	fd                      // the number of an open file
	kms                     // local:FILE, or the files that pkcs11: names
	inside                  // FILE:/PATH of a file in the image FILE
	builtin                 // or the name of a policy that is built in

	noFile use = 0

	// changes is for what is written in place, or is read and written anew.
	changes = reads | writes
)

// argUses are the uses of the arguments of all verbs that have any. The last one is that of
// all further arguments.
var argUses = map[string][]use{
	"audit":          {reads | stream},
	"cat":            {reads | stream},
	"check":          {reads | stream},
	"convert":        {reads | stream, writes | stream},
	"cp":             {reads | inside, writes | stream},
	"decrypt":        {reads | stream, writes | stream},
	"deploy":         {reads},
	"download":       {reads, writes | stream}, // "-" is refused with a word on cat
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
	"man":            {noFile}, // a folder; nothing is read
	"measure":        {reads | stream},
	"order":          {noFile},
	"reencrypt":      {reads | stream, writes},
	"rewrap":         {changes},
	"rootkey create": {noFile},
	"rootkey import": {noFile},
	"serve":          {reads | stream}, // with --rw it is locked
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
	"upload":         {reads | stream, noFile}, // "-" is for --abort
	"verify":         {reads | stream, reads | stream},
}

// flagUses are the uses of all flags that name files. What a flag is for one verb alone
// has the verb before its name.
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
