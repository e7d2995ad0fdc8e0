module sites-mix

go 1.18
