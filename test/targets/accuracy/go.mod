module accuracy

go 1.18
