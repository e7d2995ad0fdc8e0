module crossing

go 1.18
