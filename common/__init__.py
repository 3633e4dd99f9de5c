"""What every package may use: atomic files, devices, checks of numbers, names of commands."""
