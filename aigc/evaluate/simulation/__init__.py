"""A small society of users with known tastes, to see what a strategy does over time before real people do."""
