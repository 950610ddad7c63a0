"""What is missing, made for someone: the decision, the condition, the gates it must pass, its label and its record."""
