"""What a user did wrong, or what the machine denied: one line, no traceback, exit status 2."""


class UserError(Exception):
    """Its text is one line: what was given, the rule it breaks, and the remedy."""
