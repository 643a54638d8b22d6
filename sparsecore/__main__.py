"""python -m sparsecore"""

import sys

from .cli import main

sys.exit(main())
