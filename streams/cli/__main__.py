"""`python -m streams.cli`: the command where no script is installed."""

from streams.cli import main

main()
