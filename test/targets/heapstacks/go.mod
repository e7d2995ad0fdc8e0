module heapstacks

go 1.18
