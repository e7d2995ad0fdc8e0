module leaky-api

go 1.18
