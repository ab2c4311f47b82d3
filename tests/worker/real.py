"""The worker as it is deployed, as a module to run."""

import sys

from streams.settings import load_settings
from streams.worker.main import serve

if __name__ == "__main__":
    sys.exit(serve(load_settings()))
