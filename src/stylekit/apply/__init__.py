"""The implementation of `stylekit apply`: planning a batch, running it and reporting on it."""
