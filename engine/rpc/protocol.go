package rpc

import (
	"kdap/engine/inspect"
	"kdap/engine/list"
)

// Version is the version of the protocol. It counts up when a method changes
// in a way that older clients would misunderstand.
const Version = 1

// Error codes beside those of JSON-RPC.
const (
	CodeCancelled = -32800 // the request was cancelled
	CodeFailed    = 1      // it could not be answered; the message says why
	CodeNotOpen   = 2      // the client has no open dump
	CodeOpen      = 3      // the dump could not be opened
	CodeBusy      = 4      // too many requests, listings or sessions at once
	CodeToken     = 5      // the client does not know the engine's token; the connection ends
)

// Hex is an address: "0x" and hexadecimal digits, for JSON numbers lose bits above 2^53.
type Hex = list.Hex

// A Thread names a thread: the address of its _ETHREAD, or "stop:N" for what ran
// on a processor whose thread is not known, and for threads of a user minidump.
type Thread string

// InitializeParams are those of "initialize".
type InitializeParams struct {
	Token string `json:"token,omitempty"` // for an engine that wants one; then it must come first
}

// Initialize answers "initialize".
type Initialize struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of kdap
	PID      int    `json:"pid"`     // of the engine's process
}

// OpenParams are those of "open". An empty Path means the dump that the engine
// has open; it fails when that is not exactly one.
type OpenParams struct {
	Path       string `json:"path,omitempty"`
	SymbolPath string `json:"symbolPath,omitempty"`
	ImagePath  string `json:"imagePath,omitempty"`
	CacheDir   string `json:"cacheDir,omitempty"`
	Token      string `json:"token,omitempty"` // of "$/progress" notifications; "" for none
}

// OpenResult describes the dump.
type OpenResult struct {
	Path     string      `json:"path"`
	System   list.System `json:"system"`
	BugCheck BugCheck    `json:"bugcheck"`
	Problems []string    `json:"problems,omitempty"`
}

// A BugCheck explains why the system stopped.
type BugCheck struct {
	list.BugCheck
	Manual  bool     `json:"manual,omitempty"` // made by hand, by a tool, or live
	Meaning []string `json:"meaning,omitempty"`
	User    bool     `json:"user,omitempty"` // the exception of a user minidump
}

// Progress is the notification "$/progress".
type Progress struct {
	Token string `json:"token"`
	Text  string `json:"text"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total,omitempty"` // 0 when it is not known
}

// ListParams are those of "list": a kind of "kdap list" and what to leave out.
type ListParams struct {
	Kind  string   `json:"kind"`
	PIDs  []uint64 `json:"pids,omitempty"`
	Name  string   `json:"name,omitempty"` // glob over image names
	Key   string   `json:"key,omitempty"`  // registry key, for the kind "registry"
	Limit int      `json:"limit,omitempty"`
}

// ListNextParams are those of "list/next" and "list/close".
type ListNextParams struct {
	Cursor uint64 `json:"cursor"`
	Limit  int    `json:"limit,omitempty"`
}

// ListResult is one page of a listing. Cursor gets the next one; 0 ends it.
type ListResult struct {
	Schema  int          `json:"schema"`
	Kind    string       `json:"kind"`
	Entries []any        `json:"entries"`
	Errors  []list.Error `json:"errors,omitempty"`
	Cursor  uint64       `json:"cursor,omitempty"`
}

// GroupsResult answers "groups": every thread by its process, the little that
// an editor shows of it.
type GroupsResult struct {
	Groups []Group      `json:"groups"`
	Crash  Thread       `json:"crash"` // the thread to show first
	Errors []list.Error `json:"errors,omitempty"`
}

// A Group is one process with its threads, in the order of their lists.
type Group struct {
	PID      *uint64       `json:"pid,omitempty"`
	Name     string        `json:"name"`
	EPROCESS Hex           `json:"eprocess"`
	Idle     bool          `json:"idle,omitempty"`
	Threads  []GroupThread `json:"threads"`
}

// A GroupThread is one thread of a group.
type GroupThread struct {
	Thread     Thread  `json:"thread"`
	TID        *uint64 `json:"tid,omitempty"`
	Name       string  `json:"name,omitempty"`
	State      string  `json:"state,omitempty"`
	WaitReason string  `json:"waitReason,omitempty"`
	CPU        *int    `json:"cpu,omitempty"`
}

// StackParams are those of "stack". Levels 0 means all.
type StackParams struct {
	Thread Thread `json:"thread"`
	Start  int    `json:"start,omitempty"`
	Levels int    `json:"levels,omitempty"`
}

// StackResult is a part of a stack.
type StackResult struct {
	Total   int     `json:"total"`
	Process Hex     `json:"process"` // whose user addresses the frames have; 0x0 for none
	Frames  []Frame `json:"frames"`
	Ended   string  `json:"ended,omitempty"` // why the walk stopped early
}

// A Frame is a frame with what a view needs of it.
type Frame struct {
	list.Frame
	ModuleBase Hex `json:"moduleBase,omitempty"`
	// TextLine is the line of the frame's instruction in the text that
	// "source/function" gives, from 1; 0 when there is none.
	TextLine int `json:"textLine,omitempty"`
	// SourceFrom is the address that the symbols have for Source.
	SourceFrom string `json:"sourceFrom,omitempty"`
}

// SourceFileParams are those of "source/file": a file that the symbols at an
// address name. Where it is looked for is the session's source path.
type SourceFileParams struct {
	PlaceParams
	Session uint64 `json:"session"`
	File    string `json:"file"`
}

// SourceFileResult is the text of a source file.
type SourceFileResult struct {
	Text string `json:"text"`
	Path string `json:"path"`           // where the engine has it
	From string `json:"from,omitempty"` // the address it was fetched from
}

// NewSessionParams are those of "session/new".
type NewSessionParams struct {
	SourcePath string            `json:"sourcePath,omitempty"` // before _NT_SOURCE_PATH
	SourceMap  map[string]string `json:"sourceMap,omitempty"`  // folders that symbols name → folders there
}

// PlaceParams name an address in a process: "source/function".
type PlaceParams struct {
	Process Hex `json:"process"` // _EPROCESS; 0x0 for the kernel's own space
	Address Hex `json:"address"`
}

// SourceResult is a function's disassembly as text.
type SourceResult struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Line int    `json:"line"` // of the address asked for
}

// FilesResult answers "source/files": the source files that the symbols of a
// process's modules name, as far as those were loaded.
type FilesResult struct {
	Files []string `json:"files"`
	More  bool     `json:"more,omitempty"` // the list was cut
}

// ReadParams are those of "memory/read".
type ReadParams struct {
	Process Hex `json:"process"`
	Address Hex `json:"address"`
	Count   int `json:"count"`
}

// ReadResult is what could be read from the address on, and what then stopped
// it. Gap is the number of unreadable bytes that follow, within what was asked for.
type ReadResult struct {
	Data   []byte `json:"data"` // base64
	Gap    int    `json:"gap,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// DisassembleParams are those of "disassemble": count instructions, from the
// one Offset instructions behind the address.
type DisassembleParams struct {
	Process Hex  `json:"process"`
	Address Hex  `json:"address"`
	Offset  int  `json:"offset,omitempty"`
	Count   int  `json:"count"`
	Symbols bool `json:"symbols,omitempty"`
}

// DisassembleResult has exactly as many instructions as were asked for.
type DisassembleResult struct {
	Instructions []Instruction `json:"instructions"`
}

// An Instruction is one line of a disassembly.
type Instruction struct {
	Address Hex    `json:"address"`
	Bytes   string `json:"bytes,omitempty"` // hexadecimal
	Text    string `json:"text"`
	Symbol  string `json:"symbol,omitempty"` // of the address
	File    string `json:"file,omitempty"`
	Line    uint32 `json:"line,omitempty"`
	Invalid bool   `json:"invalid,omitempty"` // no instruction: undefined or unreadable
}

// SymbolsAtParams are those of "symbols/at".
type SymbolsAtParams struct {
	Process   Hex   `json:"process"`
	Addresses []Hex `json:"addresses"`
}

// SymbolsAtResult names addresses, "" where there is no module.
type SymbolsAtResult struct {
	Names []string `json:"names"`
}

// SymbolsFindParams are those of "symbols/find": "mod!name" or "name".
type SymbolsFindParams struct {
	Process Hex    `json:"process"`
	Name    string `json:"name"`
}

// SymbolsFindResult are the addresses of a name.
type SymbolsFindResult struct {
	Symbols []NamedAddress `json:"symbols"`
}

// A NamedAddress is a symbol with its address.
type NamedAddress struct {
	Name    string `json:"name"`
	Address Hex    `json:"address"`
	Type    string `json:"type,omitempty"`
}

// FrameParams name a frame: "locals", "registers".
type FrameParams struct {
	Thread Thread `json:"thread"`
	Frame  int    `json:"frame"`
}

// ScopesParams are those of "scopes". With a session the debugger's objects are
// one of the scopes, as that session's dx has them.
type ScopesParams struct {
	FrameParams
	Session uint64 `json:"session,omitempty"`
}

// ScopesResult are the scopes of a frame.
type ScopesResult struct {
	Scopes []Scope `json:"scopes"`
}

// A Scope is a named group of values.
type Scope struct {
	Value
	Expensive bool `json:"expensive,omitempty"`
}

// A Value is one line of a tree of values.
type Value struct {
	Name       string       `json:"name"`
	Text       string       `json:"text"`
	Type       string       `json:"type,omitempty"`
	Kind       inspect.Kind `json:"kind,omitempty"`
	Expression string       `json:"expression,omitempty"`
	Unreadable bool         `json:"unreadable,omitempty"` // Text says why

	// Ref opens the value with "children"; 0 for a leaf.
	Ref     uint64 `json:"ref,omitempty"`
	Named   int    `json:"named,omitempty"`
	Indexed int    `json:"indexed,omitempty"`

	// Address is where the value lies or, of a pointer, leads to, in the
	// space of Process; absent for values in no memory.
	Address Hex `json:"address,omitempty"`
	Process Hex `json:"process,omitempty"`
}

// ChildrenParams are those of "children".
type ChildrenParams struct {
	Ref    uint64         `json:"ref"`
	Filter inspect.Filter `json:"filter,omitempty"`
	Start  int            `json:"start,omitempty"`
	Count  int            `json:"count,omitempty"`
}

// ChildrenResult are lines below a value.
type ChildrenResult struct {
	Values []Value `json:"values"`
}

// ObjectParams are those of "object": a type's name ("nt!_EPROCESS",
// "_EPROCESS") and an address.
type ObjectParams struct {
	Process Hex    `json:"process"`
	Type    string `json:"type"`
	Address Hex    `json:"address"`
}

// EvaluateParams are those of "evaluate". Without a thread the session's
// current context counts.
type EvaluateParams struct {
	Session    uint64 `json:"session"`
	Expression string `json:"expression"`
	Thread     Thread `json:"thread,omitempty"`
	Frame      int    `json:"frame,omitempty"`
}

// SessionParams name a console session.
type SessionParams struct {
	Session uint64 `json:"session"`
}

// Context is what a console session works on.
type Context struct {
	Session uint64 `json:"session"`
	Prompt  string `json:"prompt"`
	Process Hex    `json:"process"`
	Thread  Thread `json:"thread"`
	Frame   int    `json:"frame"`

	SourcePath string `json:"sourcePath,omitempty"` // where it looks for source files
}

// ExecuteParams are those of "session/execute": one command line.
type ExecuteParams struct {
	Session uint64 `json:"session"`
	Line    string `json:"line"`
}

// Output is the notification "session/output". Note marks what kdap adds to
// the debugger's own text.
type Output struct {
	Session uint64 `json:"session"`
	Request uint64 `json:"request"` // id of the "session/execute"
	Text    string `json:"text"`
	Note    bool   `json:"note,omitempty"`
}

// ExecuteResult ends a command line. All its output has been sent before.
type ExecuteResult struct {
	Context
	Failed bool `json:"failed,omitempty"` // the output says why
	Quit   bool `json:"quit,omitempty"`
}

// FocusParams are those of "session/focus".
type FocusParams struct {
	Session uint64 `json:"session"`
	Thread  Thread `json:"thread"`
	Frame   int    `json:"frame,omitempty"`
}

// CompletionsParams are those of "completions". Column counts UTF-16 units
// before the cursor, as editors do.
type CompletionsParams struct {
	Session uint64 `json:"session"`
	Line    string `json:"line"`
	Column  int    `json:"column"`
}

// CompletionsResult are the continuations of a word.
type CompletionsResult struct {
	Start  int          `json:"start"`  // first replaced unit of the line
	Length int          `json:"length"` // replaced units
	Items  []Completion `json:"items"`
}

// A Completion is one continuation.
type Completion struct {
	Text   string `json:"text"`
	Detail string `json:"detail,omitempty"`
	Kind   string `json:"kind"` // "command", "alias", "module", "symbol", "type", "process", "register"
}

// cancelParams are those of the notification "$/cancelRequest".
type cancelParams struct {
	ID uint64 `json:"id"`
}
