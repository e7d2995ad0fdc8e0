// Alloyformat prints configurations of Grafana Alloy as `alloy fmt` lays them out, or says what is wrong with their syntax.
//
//	alloyformat FILE
//
// It is built in the module of Alloy's syntax (scripts/lib/fleet-tools.mjs).
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
)

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	file, err := parser.ParseFile(os.Args[1], text)
	if err != nil {
		log.Fatal(err)
	}
	if err := printer.Fprint(os.Stdout, file); err != nil {
		log.Fatal(err)
	}
	fmt.Println()
}
