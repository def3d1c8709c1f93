"""The plan: turns a call that a face has checked into jobs for the kernels.

- `dtypes`: which kernel serves a dtype, and arrays in the form a kernel reads
- `windows`: modes, as windows of the full result
- `neighbourhood`: the arguments that scipy.ndimage's filters share
- `lines`: one-dimensional work along an axis
- `grids`: work in two dimensions and more
- `layers`: convolution layers and their gradients
- `method`: which way is fastest, by a cost model
- `spectral`: correlation by transforms of blocks
- `rings`: the sizes of these, and the factors by which they are split
- `rank`: kernels that are an outer product
"""
