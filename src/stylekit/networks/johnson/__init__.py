"""The network `johnson`: the image transformation network of Johnson et al. 2016."""
