//go:build !cgo || nocgo

package main

func inC() {}
