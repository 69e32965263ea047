"""`python -m archfront`: the command line."""

from archfront.commands import main

main()
