"""What happens around every call: admission, deadline, errors, log, metrics."""
