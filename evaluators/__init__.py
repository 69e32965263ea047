"""What a candidate is worth: evaluators, one per module and named after it, and the data sets they train on.

Nothing is imported here; `evaluators.base.create` loads the one module that is asked for.
"""
