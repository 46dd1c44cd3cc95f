"""Access the machine's devices, memory, processors and files, and manage worker processes and locks."""
