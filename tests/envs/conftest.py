import sys
from pathlib import Path

# Environments that tests name by their dotted name.
sys.path.insert(0, str(Path(__file__).parent))
