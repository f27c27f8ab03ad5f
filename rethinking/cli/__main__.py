"""`python -m rethinking.cli` is `python -m rethinking`."""

from rethinking.__main__ import main

main()
