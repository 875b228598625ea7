"""One file for each command of `understudy`."""
