module sites5

go 1.18
