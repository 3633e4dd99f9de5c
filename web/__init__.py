"""The page that plays a dream in a browser: its files in page/, and what builds and serves it."""
