// Sqlite-vtable N runs N SELECTs on a virtual table written in Go. With go-sqlite3 v1.14.48 each one leaks a C block
// (the handle that stands for the Go cursor) and the Go memory behind it; with v1.14.49 (fixed.mod) neither.
//
// Prints its pid, the address of its net/http/pprof, then "ready", then waits for a line on standard input.
// GO_MEMPROFILERATE sets runtime.MemProfileRate; 1 makes the Go side exact.
package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"

	"github.com/mattn/go-sqlite3"
)

func init() {
	if rate, err := strconv.Atoi(os.Getenv("GO_MEMPROFILERATE")); err == nil {
		runtime.MemProfileRate = rate
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("how many SELECTs?")
	}
	selects, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	db := open()
	defer db.Close()
	for i := 0; i < selects; i++ {
		var sum int
		if err := db.QueryRow("SELECT sum(value) FROM numbers").Scan(&sum); err != nil {
			log.Fatal(err)
		}
		if sum != wantSum {
			log.Fatalf("sum is %d, not %d", sum, wantSum)
		}
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("pid %d\nlistening on http://%s\nready\n", os.Getpid(), listener.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

// open returns a database of one connection: the handles belong to it and would be freed with it.
func open() *sql.DB {
	sql.Register("sqlite3_numbers", &sqlite3.SQLiteDriver{
		ConnectHook: func(conn *sqlite3.SQLiteConn) error {
			return conn.CreateModule("numbers", numbersModule{})
		},
	})
	db, err := sql.Open("sqlite3_numbers", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE VIRTUAL TABLE numbers USING numbers"); err != nil {
		log.Fatal(err)
	}
	return db
}
