module internal-link

go 1.18
