"""`python -m safelight` is `safelight`: for whoever has no `safelight` on the path, or means one Python of several."""

from safelight.entrypoints.cli import main

main()
