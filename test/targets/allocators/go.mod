module allocators

go 1.18
