"""What needs no SGD ([zhang2017] sections 4 and 5): Theorem 1's network, minimum-norm interpolation, linear models.

    theorem1.py   the network with 2n + d weights that fits any labels, and its deeper forms
    min_norm.py   K alpha = y for all training images: kernel matrix, Cholesky, refinement, all in place
    features.py   what the kernels look at: pixels, Gabor features, random convolutional features
    linear.py     SGD on a linear model against the minimum-norm solution, and solutions that do not generalize
    targets.py    labels as the targets of linear equations, for these two

Their specs, columns and the contract of a kind of run are in rethinking.spec.
"""
