"""numba kernels: plain arrays in, plain arrays out; each has a NumPy twin in the tests."""
