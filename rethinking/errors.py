"""The one error that users cause and can mend."""


class InputError(ValueError):
    """Bad input: one clear line that says what was given, what is allowed, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
