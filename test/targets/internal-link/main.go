// Internal-link reaches C only through the standard library (net, os/user), so the Go linker links it itself: the
// executable has no .eh_frame, and every C block comes from glibc's resolver and account look-ups.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"os/user"
)

func main() {
	// 41 look-ups of each kind. The cgo resolver and not Go's own is asked for by GODEBUG=netdns=cgo.
	for i := 0; i < 41; i++ {
		if _, err := user.LookupGroupId("0"); err != nil {
			log.Fatal(err)
		}
		if _, err := net.LookupHost("localhost"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
