"""Why an export was refused."""


class ExportRefused(RuntimeError):
    """An export that would not be the searched network; nothing was written. The command line exits with 1."""
