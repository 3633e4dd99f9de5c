"""Go-Explore: exploring from an archive of cells, and recording from all of them."""
