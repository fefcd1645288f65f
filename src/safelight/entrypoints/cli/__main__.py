"""`python -m safelight.entrypoints.cli` is `safelight`."""

from safelight.entrypoints.cli import main

main()
