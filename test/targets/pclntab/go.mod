module pclntab

go 1.18
