"""`python -m geartrain` is the command line."""

from geartrain.cli.main import main

main()
