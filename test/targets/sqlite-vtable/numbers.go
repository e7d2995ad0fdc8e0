package main

import "github.com/mattn/go-sqlite3"

const (
	lastNumber = 5
	wantSum    = 15
)

// numbersModule is a virtual table of the numbers 1 to lastNumber.
type numbersModule struct{}

func (numbersModule) Create(c *sqlite3.SQLiteConn, _ []string) (sqlite3.VTab, error) {
	return numbersTable{}, c.DeclareVTab("CREATE TABLE numbers (value INT)")
}

func (m numbersModule) Connect(c *sqlite3.SQLiteConn, args []string) (sqlite3.VTab, error) {
	return m.Create(c, args)
}

func (numbersModule) DestroyModule() {}

type numbersTable struct{}

func (numbersTable) Open() (sqlite3.VTabCursor, error) { return newCursor(), nil }
func (numbersTable) Disconnect() error                 { return nil }
func (numbersTable) Destroy() error                    { return nil }

func (numbersTable) BestIndex(constraints []sqlite3.InfoConstraint, _ []sqlite3.InfoOrderBy) (*sqlite3.IndexResult, error) {
	return &sqlite3.IndexResult{Used: make([]bool, len(constraints))}, nil
}

// numbersCursor is big enough to be seen: the Go memory that each leaked handle keeps alive.
type numbersCursor struct {
	value int
	page  [1013]byte
}

//go:noinline
func newCursor() *numbersCursor {
	return &numbersCursor{value: 1}
}

func (c *numbersCursor) Column(ctx *sqlite3.SQLiteContext, _ int) error {
	ctx.ResultInt(c.value)
	return nil
}

func (c *numbersCursor) Filter(int, string, []any) error { return nil }
func (c *numbersCursor) Next() error                     { c.value++; return nil }
func (c *numbersCursor) EOF() bool                       { return c.value > lastNumber }
func (c *numbersCursor) Rowid() (int64, error)           { return int64(c.value), nil }
func (c *numbersCursor) Close() error                    { return nil }
