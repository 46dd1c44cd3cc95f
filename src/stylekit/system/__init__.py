"""The machine: devices, memory, processes, files."""
