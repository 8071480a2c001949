"""A plan becomes functions; events become deliveries."""

import sys

# Where rich is installed, as it is here, httpx imports its own command line: 70 modules, two thirds of its start-up. Told that there is none,
# it does without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
