"""What every test shares: the way hypothesis works, and that Ctrl-C reaches what the tests start."""

import signal

from hypothesis import settings

# A deadline for one example fails on a busy machine and says nothing about the code; pytest's timeout stays.
# Where CI is set, hypothesis loads its own profile: no deadline, and the same examples every time.
settings.register_profile("default", deadline=None)

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
