module serveload

go 1.22
