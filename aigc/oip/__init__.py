"""Generated from proto/aigc/oip by tools/generate_stubs.py; nothing here is written by hand."""
