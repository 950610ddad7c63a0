"""Generated from proto/aigc/v1 by tools/generate_stubs.py; nothing here is written by hand."""
