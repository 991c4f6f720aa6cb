"""Speed, memory and the call limit, measured side by side: ``python -m dev.benchmarks``."""
