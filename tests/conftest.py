"""What every test needs of its process."""

import signal

# A shell starts what runs in its background deaf to Ctrl-C, and children inherit that; here some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
