// Sqlite ROWS: go-sqlite3 inserts ROWS rows into a database in memory, in transactions of 1,000, and selects each.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

const batch = 1000

func main() {
	debug.SetGCPercent(-1) // what the collector does depends on the time
	rows, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, note BLOB)"); err != nil {
		log.Fatal(err)
	}
	start := time.Now()
	for first := 0; first < rows; first += batch {
		if err := insert(db, first, min(first+batch, rows)); err != nil {
			log.Fatal(err)
		}
	}
	for id := 0; id < rows; id++ {
		if err := find(db, id); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("{\"wall\": %d}\n", time.Since(start).Nanoseconds())
}

func insert(db *sql.DB, first, end int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	for id := first; id < end; id++ {
		note := make([]byte, 100+id%400)
		if _, err := tx.Exec("INSERT INTO people VALUES (?, ?, ?)", id, nameOf(id), note); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func find(db *sql.DB, id int) error {
	var name string
	var note []byte
	if err := db.QueryRow("SELECT name, note FROM people WHERE id = ?", id).Scan(&name, &note); err != nil {
		return err
	}
	if name != nameOf(id) || len(note) != 100+id%400 {
		return fmt.Errorf("row %d is another", id)
	}
	return nil
}

func nameOf(id int) string { return "person " + strconv.Itoa(id) }
