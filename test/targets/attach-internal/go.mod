module attach-internal

go 1.18
