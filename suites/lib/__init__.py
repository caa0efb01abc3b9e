"""What the suites share: checks, child processes, far ends that record, virtual environments, Trackside itself."""
