module big

go 1.18
