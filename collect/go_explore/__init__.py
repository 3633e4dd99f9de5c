"""Go-Explore: exploring from an archive of places, and recording from all of them."""
