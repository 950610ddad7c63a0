"""One file a service: convert, call, convert back."""
