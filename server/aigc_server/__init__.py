"""The transport: gRPC servers, converters, settings and the command line."""
