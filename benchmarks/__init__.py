"""Benchmarks of fastconv beside what it replaces, for asv."""
