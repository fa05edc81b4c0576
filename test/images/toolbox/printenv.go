package main

import (
	"fmt"
	"os"
)

// printenv prints the environment, or the values of the variables named.
func printenv(args []string) int {
	if len(args) == 0 {
		for _, v := range os.Environ() {
			fmt.Println(v)
		}
		return 0
	}
	missing := 0
	for _, name := range args {
		v, ok := os.LookupEnv(name)
		if !ok {
			missing = 1
			continue
		}
		fmt.Println(v)
	}
	return missing
}
