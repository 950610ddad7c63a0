"""Is what is made any good: measures of generated content."""
