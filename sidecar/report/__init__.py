"""The case of one promotion, as a file to attach to a change ticket. Pure but for its command."""
