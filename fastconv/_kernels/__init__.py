"""The kernels, in a folder for each instruction set and element type that was built."""
