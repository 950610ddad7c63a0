"""Wire types ↔ domain types, one file a resource."""
