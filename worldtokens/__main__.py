"""The console command, as `python -m worldtokens`."""

import sys

from worldtokens.cli import main

if __name__ == "__main__":
    sys.exit(main())
