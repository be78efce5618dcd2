"""`python -m perminute_cli` is `perminute`."""

from perminute_cli.main import main

main()
