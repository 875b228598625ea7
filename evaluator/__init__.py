"""Observations in, evidence out. No sockets; imports only the router's observation."""
