"""`python -m monitor` is `sensor-monitor`."""

import sys

from monitor.cli import main

sys.exit(main())
