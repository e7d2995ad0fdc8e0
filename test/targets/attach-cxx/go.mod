module attach-cxx

go 1.18
