package syntax

// Expr is an expression.
type Expr interface{ At() Pos }

// At gives where something stands.
func (p Pos) At() Pos { return p }

// Args are the arguments of a call.
type Args struct {
	Args         []Expr
	Names        []string // of Values
	Values       []Expr
	Star, Stars2 Expr // *args and **kwargs, or nil
}

// The expressions.
type (
	// Const is a value as it is written.
	Const struct {
		Pos
		Value any
	}
	// Data is text between tags.
	Data struct {
		Pos
		Text string
	}
	// Name is a variable.
	Name struct {
		Pos
		Name string
	}
	// NSRef is an attribute of a namespace that is set.
	NSRef struct {
		Pos
		Name, Attr string
	}
	// Tuple is a, b.
	Tuple struct {
		Pos
		Items []Expr
	}
	// List is [a, b].
	List struct {
		Pos
		Items []Expr
	}
	// Dict is {a: b}.
	Dict struct {
		Pos
		Keys, Values []Expr
	}
	// Getattr is x.attr.
	Getattr struct {
		Pos
		X    Expr
		Attr string
	}
	// Getitem is x[key].
	Getitem struct {
		Pos
		X, Key Expr
	}
	// Slice is start:stop:step, each of which may be nil.
	Slice struct {
		Pos
		Start, Stop, Step Expr
	}
	// Call is fn(args).
	Call struct {
		Pos
		Fn Expr
		Args
	}
	// Filter is x|name(args). X is nil where a block is filtered.
	Filter struct {
		Pos
		X    Expr
		Name string
		Args
	}
	// Test is x is name(args).
	Test struct {
		Pos
		X    Expr
		Name string
		Args
	}
	// Unary is not x, -x or +x.
	Unary struct {
		Pos
		Op string
		X  Expr
	}
	// Binary is a op b, where op may be and, or.
	Binary struct {
		Pos
		Op   string
		X, Y Expr
	}
	// Compare is x op a op b ..., where op may be in and not in.
	Compare struct {
		Pos
		X    Expr
		Ops  []string
		With []Expr
	}
	// Concat is a ~ b ~ c.
	Concat struct {
		Pos
		Items []Expr
	}
	// Cond is x if test else y. Y may be nil.
	Cond struct {
		Pos
		Test, X, Y Expr
	}
)

// Stmt is a statement.
type Stmt interface{ At() Pos }

// Signature are the parameters of a macro or a call block, the last ones with defaults.
type Signature struct {
	Params   []string
	Defaults []Expr
	// Caller, Varargs and Kwargs say that the body uses the name.
	Caller, Varargs, Kwargs bool
}

// The statements.
type (
	// Output prints expressions.
	Output struct {
		Pos
		Items []Expr
	}
	// If takes the first branch that is true; an else is a branch without Test.
	If struct {
		Pos
		Branches []Branch
	}
	// Branch is one of If.
	Branch struct {
		Test Expr
		Body []Stmt
	}
	// For is a loop.
	For struct {
		Pos
		Target, Iter, Test Expr
		Recursive          bool
		Body, Else         []Stmt
	}
	// Set assigns a value.
	Set struct {
		Pos
		Target, Value Expr
	}
	// SetBlock assigns what its body renders, filtered.
	SetBlock struct {
		Pos
		Target, Filter Expr
		Body           []Stmt
	}
	// With has names of its own.
	With struct {
		Pos
		Targets, Values []Expr
		Body            []Stmt
	}
	// Block can be replaced by a child.
	Block struct {
		Pos
		Name             string
		Scoped, Required bool
		Body             []Stmt
	}
	// Extends names the parent.
	Extends struct {
		Pos
		Template Expr
	}
	// Include renders another template here.
	Include struct {
		Pos
		Template                   Expr
		IgnoreMissing, WithContext bool
	}
	// Import gives another template's macros and variables. Load, when not empty, is the filter that its text goes through
	// instead (import_yaml).
	Import struct {
		Pos
		Template    Expr
		Target      string
		WithContext bool
		Load        string
	}
	// FromImport takes some of another template's macros and variables.
	FromImport struct {
		Pos
		Template       Expr
		Names, Aliases []string
		WithContext    bool
	}
	// Macro defines a macro.
	Macro struct {
		Pos
		Name string
		Signature
		Body []Stmt
	}
	// CallBlock calls a macro and gives it its body.
	CallBlock struct {
		Pos
		Call *Call
		Signature
		Body []Stmt
	}
	// FilterBlock prints its body, filtered.
	FilterBlock struct {
		Pos
		Filter Expr
		Body   []Stmt
	}
	// Do computes and prints nothing.
	Do struct {
		Pos
		X Expr
	}
	// Load reads what its body renders: load_yaml, load_json, load_text.
	Load struct {
		Pos
		Filter string
		Target Expr
		Body   []Stmt
	}
	// Autoescape sets whether what its body prints is made safe for HTML.
	Autoescape struct {
		Pos
		On   Expr
		Body []Stmt
	}
	// Jump is break or continue.
	Jump struct {
		Pos
		Break bool
	}
)

// Template is what was read.
type Template struct {
	Body   []Stmt
	Blocks []*Block // all of them, nested ones too
}
