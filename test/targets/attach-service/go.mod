module attach-service

go 1.21
