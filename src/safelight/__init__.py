"""Safelight: a media pipeline that its users own. Importing this package loads nothing else."""

__version__ = "0.1.0"
