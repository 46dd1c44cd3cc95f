"""The machine: devices, memory, processors, worker processes, locks and files."""
