// Attach-sqlite keeps a database in memory. It prints its pid and "ready", and does what the lines on its standard input
// say, each answered by "done":
//
//	query    runs queries, and leaves nothing behind
//	prepare  prepares 101 statements and keeps them open
//	close    closes them all
package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"log"
	"os"

	_ "github.com/mattn/go-sqlite3"
)

const statements = 101

var prepared []*sql.Stmt

func main() {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, line := range []string{"CREATE TABLE leaks (line TEXT, bytes INT)", "INSERT INTO leaks VALUES ('a', 1009)"} {
		if _, err := db.Exec(line); err != nil {
			log.Fatal(err)
		}
	}
	query(db)
	fmt.Printf("pid %d\nready\n", os.Getpid())
	obey := map[string]func(*sql.DB){"query": query, "prepare": prepare, "close": closeAll}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println("done") {
		obey[lines.Text()](db)
	}
}

func query(db *sql.DB) {
	for i := 0; i < 503; i++ {
		var bytes int
		row := db.QueryRow("SELECT sum(bytes) FROM leaks WHERE line LIKE ?", fmt.Sprintf("%%%c%%", 'a'))
		if err := row.Scan(&bytes); err != nil || bytes != 1009 {
			log.Fatalf("%d, %v", bytes, err)
		}
	}
}

//go:noinline
func prepare(db *sql.DB) {
	for i := 0; i < statements; i++ {
		statement, err := db.Prepare("SELECT count(*) FROM leaks")
		if err != nil {
			log.Fatal(err)
		}
		prepared = append(prepared, statement)
	}
}

func closeAll(*sql.DB) {
	for _, statement := range prepared {
		if err := statement.Close(); err != nil {
			log.Fatal(err)
		}
	}
	prepared = nil
}
